"""`reader.neutral`: a resting face that a reader reads against, with the shipped networks."""

import itertools

import numpy as np
import pytest
from PIL import Image

from engine.session import open_session
from realtime import FaceReader, Reference
from realtime.capture import CaptureError
from realtime.number_file import ReferenceFileError
from realtime.population import Population
from realtime.sources.open import open_source
from tests.realtime.support.london import FAINT, filmed, needs_london, photograph
from tests.realtime.support.media import write_video
from tests.realtime.support.paths import CLIP, ROOT
from tests.realtime.support.resting import FRONTAL, POPULATION, resting

TWO = ROOT / "realtime/web/examples/two.jpg"


@pytest.fixture(scope="module")
def reader():
    with FaceReader(backend="onnxruntime", device="cpu", smoothing=0) as reader:
        yield reader


@pytest.fixture(scope="module")
def reference():
    """Somebody's, by the shipped model."""
    with open_session("ipd_fer") as session:
        population = Population.of(session)
    return Reference.capture(population, resting(np.random.default_rng(0), 60), [FRONTAL] * 60)


@pytest.fixture
def neutral(reader, reference):
    reader.neutral = reference
    yield reference
    reader.neutral = None


def test_a_video_is_read_against_it_from_the_first_frame_and_without_it_after(reader, neutral):
    results = reader(CLIP)
    first = next(results).faces[0]
    assert first.reference == "given" and first.intensity is not None
    reader.neutral = None
    assert next(results).faces[0].raw is None
    reader.neutral = neutral
    assert next(results).faces[0].reference == "given"
    assert reader.neutral is neutral


def test_of_every_picture_the_largest_face_is_read_against_it(reader, neutral):
    two = np.asarray(Image.open(TWO).convert("RGB"))
    results = list(reader([two, two[:, ::-1], two]))
    assert [[face.reference for face in r.faces] for r in results] == [["given", None]] * 3
    assert [face.reference for face in reader.read(TWO).faces] == ["given", None]


def test_it_is_kept_and_loaded_without_a_word_about_the_model(reader, neutral, tmp_path):
    reader.neutral.save(tmp_path / "me.json")
    loaded = Reference.load(tmp_path / "me.json")
    reader.neutral = loaded
    np.testing.assert_allclose(loaded.mean, neutral.mean, atol=1e-5)
    assert next(reader(CLIP)).faces[0].reference == "given"


def test_what_is_no_reference_of_this_model_is_refused(reader, tmp_path):
    other = Reference.capture(POPULATION, resting(np.random.default_rng(0), 30), [FRONTAL] * 30)
    with pytest.raises(ValueError, match=r"another model than ipd_fer.*capture it anew"):
        reader.neutral = other
    with pytest.raises(TypeError, match=r'not str: give Reference\.load\("me\.json"\)'):
        reader.neutral = "me.json"
    other.save(tmp_path / "other.json")
    with pytest.raises(ReferenceFileError, match="belongs to another model"):
        Reference.load(tmp_path / "other.json")


@needs_london
def test_a_faint_smile_is_found_after_two_seconds_of_rest(reader):
    smiles = list(itertools.islice(filmed(photograph(FAINT, "smiling"), 5), 5))
    before = [result.faces[0].label for result in reader(smiles, fps=30)]
    reader.neutral = Reference.capture(reader(filmed(photograph(FAINT, "neutral"), 75), fps=30))
    after = [result.faces[0].label for result in reader(smiles, fps=30)]
    reader.neutral = None
    assert (set(before), set(after)) == ({"neutral"}, {"happiness"})


@needs_london
def test_the_lines_of_the_readme(tmp_path, monkeypatch, capsys):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = text.partition("## Your own neutral face")[2].partition("```python\n")[2]
    write_video(tmp_path / "rest.mp4", filmed(photograph(FAINT, "neutral"), 75))
    write_video(tmp_path / "later.mp4", filmed(photograph(FAINT, "smiling"), 5))
    monkeypatch.chdir(tmp_path)
    exec(lines.partition("```")[0], {})
    printed = capsys.readouterr().out.splitlines()
    assert "happiness" in printed[-1] and "given" in printed[-1]
    assert Reference.load("me.json").frames >= 20


def test_a_clip_in_which_nobody_rests_gives_none(reader):
    with open_source(CLIP) as source:
        images = [frame.image for frame in itertools.islice(source, 5)]
    with pytest.raises(CaptureError, match="No reference was captured"):
        Reference.capture(reader(images, fps=30))
