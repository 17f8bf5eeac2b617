"""A run whose user shows the program a resting face: the key, the file, the records."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from realtime.neutral import NeutralFaces
from realtime.number_file import ReferenceFileError
from realtime.output.window import HELP
from realtime.reference import Reference
from realtime.run import Outputs, Run
from realtime.sources.frame import Frame
from realtime.sources.live import View
from realtime.timing import StageTimer
from tests.realtime.support.media import make_face
from tests.realtime.support.resting import FRONTAL, POPULATION, resting
from tests.realtime.test_run import FakeWindow

FRAMES = 150


class Resting:
    """A pipeline that sees one face at rest; from frame `leaves` on another sits there."""

    def __init__(self, population=lambda: POPULATION, leaves=FRAMES):
        self.timer = StageTimer()
        self.neutral = NeutralFaces(population)
        self._readings = list(resting(np.random.default_rng(0), FRAMES, offset=-2.0))
        self._leaves = leaves

    def process(self, frame):
        track_id = int(frame.index >= self._leaves)
        face = make_face((160, 120), 100, track_id=track_id)
        face = replace(face, expression=self._readings[frame.index], pose=FRONTAL)
        return self.neutral.read([face], {track_id}, frame.time)


def run(pipeline, outputs, keys=()):
    window = FakeWindow(keys)
    source = SimpleNamespace(
        name="Camera 0", width=320, height=240, fps=30.0, frames=FRAMES, live=True
    )
    image = np.full((240, 320, 3), 90, np.uint8)
    views = [View(Frame(image.copy(), i, i / 30), None) for i in range(FRAMES)]
    with Run(source, pipeline, outputs, window, neutral=pipeline.neutral) as done:
        notes = []
        note = done._note
        done._note = lambda: notes.append(note()) or notes[-1]
        done.process(views)
    return done, window, notes


def test_n_captures_and_the_records_say_so(tmp_path):
    outputs = Outputs(None, tmp_path / "out.jsonl", tmp_path / "out.csv", tmp_path / "me.json")
    done, window, notes = run(Resting(), outputs, keys=["", "n"])
    lines = [json.loads(line)["faces"][0] for line in outputs.jsonl.read_text().splitlines()]
    first = next(i for i, face in enumerate(lines) if "raw" in face)
    assert 60 <= first <= 66 and all("raw" in face for face in lines[first:])
    assert lines[-1]["reference"].startswith("captured at 2.1")
    rows = outputs.csv.read_text().splitlines()
    assert len(rows) == FRAMES + 1 and "intensity_happiness" in rows[0]
    assert done.kept and Reference.load(tmp_path / "me.json", POPULATION).frames > 20
    assert notes[0] is None and notes[-1] == "neutral: #0"
    assert "n neutral face" in HELP
    differs = np.abs(window.pictures[30].astype(int) - window.pictures[1]).max(axis=2) > 60
    assert differs.sum() > 100, "the ring is seen"


def test_n_twice_gives_it_up(tmp_path):
    pipeline = Resting()
    done, _, notes = run(pipeline, Outputs(neutral=tmp_path / "me.json"), keys=["n", "", "n"])
    assert not done.kept and notes[-1] is None and not (tmp_path / "me.json").exists()


def test_when_the_face_is_gone_n_is_offered_again():
    _, _, notes = run(Resting(leaves=100), Outputs(), keys=["n"])
    assert notes[90] == "neutral: #0"
    assert notes[-1] == "neutral: #0 is gone, n takes a new one"


def test_a_model_without_a_population_is_said_and_the_run_goes_on(capsys):
    def missing():
        raise ReferenceFileError("other.reference.json is missing: make it.")

    done, _, notes = run(Resting(missing), Outputs(), keys=["n"])
    assert done.summary.frames == FRAMES
    assert "is missing" in capsys.readouterr().err and any("is missing" in n for n in notes if n)


@pytest.mark.parametrize("place", ["missing/me.json", "."])
def test_a_file_that_cannot_be_written_is_said_and_the_run_goes_on(tmp_path, place, capsys):
    (tmp_path / "missing").write_text("a file in the way")
    done, _, _ = run(Resting(), Outputs(neutral=tmp_path / place), keys=["n"])
    assert done.summary.frames == FRAMES and not done.kept
    assert "cannot be written" in capsys.readouterr().err
