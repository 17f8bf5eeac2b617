"""Tables of results, and a resting face captured from them; no network is needed."""

import itertools
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from realtime.capture import CaptureError
from realtime.faces import EXPRESSIONS
from realtime.neutral import NeutralFaces
from realtime.output.records import CsvSink
from realtime.reference import Reference
from realtime.result import Result, to_df
from realtime.results import Results
from realtime.sources.frame import Frame
from realtime.sources.live import View
from tests.realtime.support.media import make_face
from tests.realtime.support.resting import FRONTAL, POPULATION, resting

IMAGE = np.zeros((120, 160, 3), np.uint8)
TWO = [
    Result((make_face(track_id=3), make_face(track_id=4, label=2)), IMAGE, 0.0, 0, "a.mp4"),
    Result((), IMAGE, 0.04, 1, "a.mp4"),
    Result((make_face(track_id=3, pose=(12.34, 0, 0)),), IMAGE, 0.08, 2, "a.mp4"),
]


class Reading:
    """Gives frames, live or not, and has a pipeline that sees one resting face."""

    def __init__(self, count, live=False, still=False, rests=True, silent=False):
        self.source = SimpleNamespace(name="Camera 0", live=live, still=still)
        random = np.random.default_rng(0)
        readings = list(resting(random, 400, offset=-2.0))
        if not rests:
            readings = [np.eye(8, dtype=np.float32)[2] for _ in readings]
        self.pipeline = SimpleNamespace(neutral=NeutralFaces(lambda: POPULATION))

        def process(frame):
            face = make_face((80, 60), 60)
            object.__setattr__(face, "expression", readings[frame.index % 400])
            object.__setattr__(face, "pose", FRONTAL)
            return self.pipeline.neutral.read([face], {0}, frame.time)

        self.pipeline.process = process
        self.pipeline.capture = lambda frames: _capture(self.pipeline, frames)
        self.given, self._count, self._silent = 0, count, silent

    def views(self):
        for index in itertools.count() if self._count is None else range(self._count):
            self.given += 1
            frame = None if self._silent else Frame(IMAGE, index, index / 30)
            yield View(frame, None, None, index / 30)


def _capture(pipeline, frames):
    from realtime.pipeline import FacePipeline

    return FacePipeline.capture(pipeline, frames)


def results(reading, ends=False):
    def read(source, pipeline, frame):
        faces = tuple(pipeline.process(frame))
        return Result(faces, frame.image, frame.time, frame.index, source.name)

    return Results((one for one in [reading]), read, ends)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_table_has_one_row_a_face_under_the_names_of_the_csv(kind):
    pytest.importorskip(kind)
    table = to_df(TWO, kind)
    assert list(table.columns) == ["source", *CsvSink.COLUMNS]
    assert table["id"].to_list() == [3, 4, 3] and table["frame"].to_list() == [0, 0, 2]
    assert table["label"].to_list() == ["happiness", "surprise", "happiness"]
    assert table["yaw"].to_list() == [0.0, 0.0, 12.3]
    assert table["happiness"].to_list()[0] == pytest.approx(0.9)
    assert len(to_df([], kind)) == 0 and list(to_df([], kind).columns) == list(table.columns)


def test_a_table_of_faces_read_against_rest_has_their_columns():
    pytest.importorskip("pandas")
    reading = Reading(3)
    reading.pipeline.neutral.use(Reference.of_nobody(POPULATION))
    table = results(reading).to_df()
    assert set(CsvSink.REFERENCE_COLUMNS) <= set(table.columns)
    assert table["reference"].to_list() == ["given"] * 3


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_package_that_is_not_there_is_named_with_its_command(monkeypatch, kind):
    monkeypatch.setitem(sys.modules, kind, None)
    with pytest.raises(ModuleNotFoundError, match=f"needs that package: `pip install {kind}`"):
        to_df(TWO, kind)


def test_a_table_of_a_camera_needs_an_end():
    endless = Reading(None, live=True)
    with pytest.raises(ValueError, match="Camera 0 has no end of its own: give one, as end=10"):
        results(endless).to_df()
    assert endless.given == 1
    pytest.importorskip("pandas")
    assert len(results(Reading(5, live=True), ends=True).to_df()) == 5


def test_a_resting_face_is_captured_from_results():
    reading = Reading(300)
    reference = Reference.capture(results(reading))
    assert reference.frames >= 20 and reference.population is POPULATION
    assert reading.given < 80, "no more frames were taken than it needs"


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (Reading(10), "give more frames"),
        (Reading(300, rests=False), "rest your face"),
        (Reading(None, live=True, rests=False), "rest your face"),
        (Reading(None, live=True, silent=True), "give more frames"),
        (Reading(5, still=True), "Pictures do not show how a face rests.*fps=…"),
    ],
)
def test_no_capture_says_what_to_do(reading, words):
    with pytest.raises(CaptureError, match=words):
        results(reading).capture()
    assert reading.given < 1000, "a camera is not waited for without end"


def test_a_capture_from_something_else_is_refused():
    with pytest.raises(TypeError, match=r"not from list: Reference\.capture\(reader\(source\)\)"):
        Reference.capture([IMAGE])


def test_probabilities_go_by_name():
    (face, _), *_ = (result.faces for result in TWO)
    assert tuple(face.probabilities) == EXPRESSIONS and face.probabilities["happiness"] > 0.89
    assert type(face.probabilities["fear"]) is float
