"""The whole pipeline on the recorded clip, with the shipped networks."""

import json
import tracemalloc

import cv2
import numpy as np
import pytest

from engine.contract import EngineError
from realtime.align import align, similarity_transform
from realtime.detection.mtcnn import Detector, DetectorError
from realtime.faces import HeadPose
from realtime.pipeline import AT_ONCE, FacePipeline, open_pipeline
from realtime.recognise import Recogniser
from realtime.sources.frame import Frame
from realtime.sources.open import open_source
from tests.realtime.support.media import face_at
from tests.realtime.support.memory import held_by_realtime
from tests.realtime.support.paths import CLIP, ROOT
from tests.realtime.support.sessions import fake_sessions

TRUTH = json.loads((ROOT / "tests/data/astronaut.json").read_text())["frames"]


def angles(face) -> np.ndarray:
    return np.array([face.pose.yaw, face.pose.pitch, face.pose.roll])


@pytest.fixture(scope="module")
def pipeline():
    with FacePipeline(Detector(min_face=40), Recogniser("ipd_fer"), smoothing=0) as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def frames():
    with open_source(CLIP) as source:
        return list(source)


@pytest.fixture(scope="module")
def faces(frames):
    """What a pipeline with the default smoothing makes of the clip."""
    with FacePipeline(Detector(min_face=40), Recogniser("ipd_fer")) as pipeline:
        return [pipeline.process(frame) for frame in frames]


def test_she_is_found_whenever_she_is_in_view(faces):
    for truth, found in zip(TRUTH, faces, strict=True):
        if truth["in_view"]:
            assert len(found) == 1, truth["frame"]
            assert np.linalg.norm(found[0].box.reshape(2, 2).mean(axis=0) - truth["center"]) < 20
        if truth["visible"] == 0:
            assert found == []


def test_she_looks_happy(faces):
    labels = [found[0].label for truth, found in zip(TRUTH, faces, strict=True) if truth["in_view"]]
    assert set(labels) == {"happiness"}


def test_roll_follows_the_known_rotation(faces):
    seen = [
        (t["roll"], found[0].pose.roll)
        for t, found in zip(TRUTH, faces, strict=True)
        if t["in_view"]
    ]
    known, measured = np.array(seen).T
    # In the photograph itself her head is tilted; only what was added to that is known.
    error = (measured - measured[0]) - (known - known[0])
    assert np.median(np.abs(error)) < 3
    assert np.ptp(known) > 40


def test_ids_are_kept_in_view_and_new_after_a_long_absence(faces):
    """She is away for more than the second for which the tracker waits."""
    ids = [found[0].track_id for truth, found in zip(TRUTH, faces, strict=True) if truth["in_view"]]
    away = [truth["frame"] for truth in TRUTH if truth["visible"] == 0]
    before = sum(truth["in_view"] for truth in TRUTH[: away[0]])
    assert set(ids[:before]) == {0} and set(ids[before:]) == {1}


def test_a_mirrored_frame_mirrors_the_face(pipeline, frames):
    for index in (0, 60, 90, 120):
        image = frames[index].image
        (face,) = pipeline.process(Frame(image, 0, 10.0 * index))
        (other,) = pipeline.process(Frame(cv2.flip(image, 1), 1, 10.0 * index + 5))
        back = other.mirrored(image.shape[1])
        # The networks see each side by itself, so the two agree only about as well as they are.
        np.testing.assert_allclose(angles(back), angles(face), atol=6)
        np.testing.assert_allclose(back.landmarks, face.landmarks, atol=0.06 * face.size)
        assert other.label == face.label


def test_turning_the_picture_turns_roll_alone(pipeline, frames):
    image = frames[0].image
    (upright,) = pipeline.process(Frame(image, 0, 1000.0))
    for turn, degrees in ((15, 15), (-20, -20)):
        # OpenCV counts anticlockwise.
        matrix = cv2.getRotationMatrix2D((320, 235), -turn, 1.0)
        image_turned = cv2.warpAffine(image, matrix, (640, 480), borderMode=cv2.BORDER_REPLICATE)
        (face,) = pipeline.process(Frame(image_turned, 0, 2000.0 + turn))
        assert face.pose.roll - upright.pose.roll == pytest.approx(degrees, abs=3)
        assert face.pose.yaw == pytest.approx(upright.pose.yaw, abs=6)


def test_a_sharp_face_and_the_same_at_48_pixels_agree(pipeline, frames):
    """The training faces have 48 px; a webcam's must not look foreign to the network."""
    skimage_data = pytest.importorskip("skimage.data")
    photograph = skimage_data.astronaut()
    (face,) = pipeline.process(Frame(photograph, 0, 3000.0))[:1]
    centre = tuple(float(value) for value in face.box.reshape(2, 2).mean(axis=0))
    shrink = 48 / face.size
    labels = []
    for degrees in np.linspace(-45, 45, 20):
        turn = cv2.getRotationMatrix2D(centre, degrees, 1.0)
        sharp = cv2.warpAffine(photograph, turn, photograph.shape[1::-1])
        points = cv2.transform(face.landmarks[None].astype(np.float64), turn)[0]
        small = cv2.resize(sharp, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        scale = np.array(small.shape[1::-1]) / sharp.shape[1::-1]
        crops = [
            align(sharp, similarity_transform(points)),
            align(small, similarity_transform((points + 0.5) * scale - 0.5)),
        ]
        found = pipeline.recogniser.recognise(np.stack(crops), [0.0, 0.0])
        labels.append([int(expression.argmax()) for expression, _ in found])
    assert all(sharp == small for sharp, small in labels)


def test_all_faces_of_a_frame_go_through_the_engine_at_once(pipeline, frames):
    image = np.concatenate([frames[0].image, frames[60].image], axis=1)
    calls = []
    run = pipeline.recogniser.session.run
    pipeline.recogniser.session.run = lambda inputs: calls.append(inputs) or run(inputs)
    try:
        found = pipeline.process(Frame(image, 0, 4000.0))
    finally:
        del pipeline.recogniser.session.run
    assert len(found) == 2 and len({face.track_id for face in found}) == 2
    assert len(calls) == 1 and calls[0]["faces"].shape == (2, 112, 112, 3)


def test_many_faces_take_turns(frames):
    image = cv2.resize(frames[0].image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    crowd = np.tile(image, (2, 3, 1))
    with FacePipeline(Detector(min_face=40), Recogniser("ipd_fer"), smoothing=0) as pipeline:
        batches, recognise = [], pipeline.recogniser.recognise
        pipeline.recogniser.recognise = lambda crops, rotations: (
            batches.append(len(crops)) or recognise(crops, rotations)
        )
        fresh = []
        for index in range(7):
            found = pipeline.process(Frame(crowd, index, index / 25))
            assert len(found) == 6 and all(face.expression is not None for face in found)
            fresh.append({face.track_id: face.expression.base for face in found})
    assert batches == [6] + [AT_ONCE] * 6, "all are new in the first frame"
    for before, after in zip(fresh, fresh[2:], strict=False):
        assert all(before[who] is not after[who] for who in before), "none waits for two frames"


def test_a_frame_without_faces_is_no_error(pipeline):
    assert pipeline.process(Frame(np.zeros((480, 640, 3), np.uint8), 0, 5000.0)) == []


@pytest.mark.parametrize(
    ("fails", "options", "error"),
    [
        ("mtcnn_onet", {}, EngineError),
        ("", {"min_face": 3}, DetectorError),
        ("", {"smoothing": -1.0}, ValueError),
    ],
)
def test_what_was_opened_is_closed_where_the_rest_cannot_be(monkeypatch, fails, options, error):
    opened = fake_sessions(monkeypatch, fails)
    with pytest.raises(error):
        open_pipeline("ipd_fer", **options)
    assert opened and all(session.closed for session in opened)


@pytest.mark.parametrize("frames", [40, pytest.param(250, marks=pytest.mark.slow)])
def test_ids_without_end_leave_nothing_behind(monkeypatch, frames):
    """100 new faces in every frame; what is in sight takes memory, what was does not."""
    monkeypatch.setattr("realtime.timing.REMEMBERED", 10)
    expression, pose = np.full(8, 0.125, np.float32), HeadPose(0.0, 0.0, 0.0)
    everywhere = [face_at(100.0 * column, 100.0 * row) for row in range(10) for column in range(10)]

    class Crowd:
        min_face, max_faces = 40, None

        def detect(self, image):
            return everywhere

        def close(self):
            pass

    class Guess:
        def recognise(self, crops, rotations):
            return [(expression, pose)] * len(crops)

        def close(self):
            pass

    image = np.zeros((64, 64, 3), np.uint8)
    with FacePipeline(Crowd(), Guess()) as pipeline:
        tracemalloc.start()
        for index in range(frames):  # so far apart that no id goes on
            found = pipeline.process(Frame(image, index, 5.0 * index))
            if index == 10:
                early = held_by_realtime()
        grown = held_by_realtime() - early
        tracemalloc.stop()
    assert max(face.track_id for face in found) == 100 * frames - 1
    # Less than a pointer an id: anything kept of each would be more.
    assert grown < 8 * 100 * frames
