"""--neutral, --save-neutral and --adapt, with the shipped networks."""

import json
from itertools import islice

import numpy as np
import pytest

from engine.session import open_session
from realtime.__main__ import main
from realtime.capture import CaptureError
from realtime.faces import HeadPose
from realtime.pipeline import open_pipeline
from realtime.population import Population
from realtime.reference import Reference
from realtime.sources.frame import Frame
from realtime.sources.open import open_source
from tests.realtime.support.london import FAINT, filmed, needs_london, photograph
from tests.realtime.support.media import write_video
from tests.realtime.support.paths import CLIP
from tests.realtime.support.resting import FRONTAL, POPULATION, resting


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A few frames of the astronaut, who laughs."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with open_source(CLIP) as source:
        return write_video(path, [frame.image for frame in islice(source, 10)])


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Somebody's, as a file of the shipped model."""
    session = open_session("ipd_fer")
    population = Population.of(session)
    session.close()
    path = tmp_path_factory.mktemp("reference") / "me.json"
    readings = resting(np.random.default_rng(0), 60)
    Reference.capture(population, readings, [HeadPose(0, 0, 0)] * 60).save(path)
    return path


def run(clip, folder, *options):
    return main(
        [
            *("--source", str(clip), "--no-display", "--smoothing", "0"),
            *("--jsonl", str(folder / "out.jsonl"), "--csv", str(folder / "out.csv")),
            *map(str, options),
        ]
    )


def faces(folder) -> list[dict]:
    lines = (folder / "out.jsonl").read_text().splitlines()
    return [face for line in lines for face in json.loads(line)["faces"]]


def test_a_loaded_reference_is_used_from_the_first_frame(clip, reference, tmp_path):
    assert run(clip, tmp_path) == 0
    before = faces(tmp_path)
    assert not any("raw" in face for face in before)
    assert run(clip, tmp_path, "--neutral", reference) == 0
    for alone, face in zip(before, faces(tmp_path), strict=True):
        assert face["raw"] == alone["expression"]["probabilities"], "as the network gave it"
        assert face["reference"] == "me.json" and face["intensity"]["happiness"] > 0.5
    assert (tmp_path / "out.csv").read_text().splitlines()[0].endswith(",reference")


def test_adapt_begins_with_what_the_network_says(clip, tmp_path):
    assert run(clip, tmp_path, "--adapt") == 0
    for face in faces(tmp_path):
        assert face["reference"] == "learnt"
        assert face["raw"] == pytest.approx(face["expression"]["probabilities"], abs=1e-3)


def test_who_does_not_rest_is_told_and_nothing_is_written(clip, tmp_path, capsys):
    assert run(clip, tmp_path, "--save-neutral", tmp_path / "me.json") == 1
    assert "look at the camera and keep still" in capsys.readouterr().err
    assert not (tmp_path / "me.json").exists() and len(faces(tmp_path)) == 10


def bad_uses(folder, clip, reference):
    other = folder / "other.json"
    readings = resting(np.random.default_rng(0), 30)
    Reference.capture(POPULATION, readings, [FRONTAL] * 30).save(other)
    (folder / "text.json").write_text("This is no reference.")
    picture = CLIP.parents[2] / "realtime/web/examples/one.jpg"
    return {
        "another model's": (["--neutral", other], 1, "belongs to another model"),
        "none": (["--neutral", folder / "none.json"], 1, "cannot be read: No such file"),
        "text": (["--neutral", folder / "text.json"], 1, "is no reference"),
        "a picture": (
            ["--source", picture, "--neutral", reference], 2, "give a camera or video",
        ),
        "a folder to write": (["--save-neutral", folder], 1, "is a folder"),
        "the clip to write": (["--save-neutral", clip], 2, "is given twice"),
        "written over": (["--neutral", folder / "out.csv"], 2, "is given twice"),
    }  # fmt: skip


def test_what_cannot_be_used_is_refused_in_one_sentence(clip, reference, tmp_path, capsys):
    before = clip.read_bytes()
    for name, (options, code, words) in bad_uses(tmp_path, clip, reference).items():
        assert run(clip, tmp_path, *options) == code, name
        error = capsys.readouterr().err.strip()
        assert words in error and "\n" not in error, name
    assert clip.read_bytes() == before


def film(expression, frames, first=0, seed=0):
    for index, image in enumerate(filmed(photograph(FAINT, expression), frames, seed), first):
        yield Frame(image, index, index / 30)


@needs_london
def test_a_reference_kept_in_one_run_finds_a_faint_smile_in_the_next(tmp_path, capsys):
    rest = write_video(tmp_path / "rest.mp4", filmed(photograph(FAINT, "neutral"), 75))
    smile = write_video(tmp_path / "smile.mp4", filmed(photograph(FAINT, "smiling"), 15))
    me = tmp_path / "me.json"
    assert run(rest, tmp_path, "--save-neutral", me) == 0
    assert me.stat().st_size < 10_000 and f"Writing {me}" in capsys.readouterr().out
    assert [face["expression"]["label"] for face in faces(tmp_path)] == ["neutral"] * 75
    for options, label in (((), "neutral"), (("--neutral", me), "happiness")):
        assert run(smile, tmp_path, *options) == 0
        assert {face["expression"]["label"] for face in faces(tmp_path)} == {label}


@needs_london
def test_the_pipeline_captures_from_frames(tmp_path):
    with open_pipeline() as pipeline:
        reference = pipeline.capture(film("neutral", 75))
        assert pipeline.neutral.owners == [0] and reference.frames >= 20
        *_, (face,) = [pipeline.process(frame) for frame in film("smiling", 15, 100)]
        assert face.label == "happiness" and face.raw.argmax() == 0
        reference.save(tmp_path / "me.json")
        pipeline.neutral.drop(0)
        (face,) = pipeline.process(next(film("smiling", 1, 120)))
        assert face.raw is None
        pipeline.neutral.load(tmp_path / "me.json")
        (face,) = pipeline.process(next(film("smiling", 1, 121)))
        assert face.reference == "me.json"
        with pytest.raises(CaptureError, match="give more frames"):
            pipeline.capture(film("neutral", 5, 130))
