"""Carrying known faces and finding new ones, against the whole cascade on every frame."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.area import AreaSampler
from realtime.detect import Detector
from realtime.finder import SEARCH_FRAMES, FaceFinder
from realtime.pyramid import pyramid, spread
from realtime.source import Frame, open_source
from realtime.timing import StageTimer

CLIP = Path(__file__).resolve().parents[1] / "data/astronaut.mp4"


@pytest.fixture(scope="module")
def frames():
    with open_source(CLIP) as source:
        return list(source)


@pytest.fixture(scope="module")
def detector():
    with Detector(min_face=40) as detector:
        yield detector


@pytest.fixture
def finder(detector):
    return FaceFinder(detector, StageTimer())


def test_strips_of_the_pyramid_propose_what_the_whole_proposes(detector, frames):
    sampler = AreaSampler(frames[0].image)
    levels = pyramid(480, 640, 40)
    for level in levels[:3]:
        whole = detector._pnet.run({"images": sampler.resized(level.height, level.width)[None]})
        for portion in spread([level], 3):
            for part in portion:
                rows = sampler.resized(part.height, part.width, part.rows)
                strip = detector._pnet.run({"images": rows[None]})["scores"][0]
                start = part.rows[0] // 2
                expected = whole["scores"][0][start : start + len(strip)]
                np.testing.assert_allclose(strip[: len(expected)], expected, atol=1e-5)


def test_a_carried_face_stays_where_the_cascade_sees_it(finder, detector, frames):
    deviations = []
    for frame in frames[:90]:
        (carried,) = finder.find(frame)
        if frame.index % 5 == 4:
            (seen,) = detector.detect(frame.image)
            points = np.linalg.norm(carried.landmarks - seen.landmarks, axis=1)
            deviations.append(points.mean() / seen.size)
    # The cascade's own landmarks jitter by about one percent from frame to frame.
    assert np.median(deviations) < 0.015 and max(deviations) < 0.03


def test_the_whole_frame_is_searched_only_where_nothing_is_known(finder, frames):
    for frame in frames[:20]:
        finder.find(frame)
    stages = {stage: len(finder._timer._seconds[stage]) for stage in ("detect", "refine")}
    assert stages == {"detect": 1, "refine": 19}


def test_a_new_face_is_found_beside_a_known_one_within_one_round(finder, frames):
    plain = np.full_like(frames[0].image, 128)
    alone = np.concatenate([frames[0].image, plain], axis=1)
    both = np.concatenate([frames[0].image, frames[0].image], axis=1)
    for index in range(3):
        assert len(finder.find(Frame(alone, index, index / 25))) == 1
    for index in range(3, 4 + SEARCH_FRAMES):
        found = finder.find(Frame(both, index, index / 25))
    assert {face.track_id for face in found} == {0, 1}


def test_two_expected_places_of_one_face_give_one_face(detector, frames):
    (seen,) = detector.detect(frames[0].image)
    boxes = np.stack([seen.box, seen.box + np.float32(0.1 * seen.size)])
    found = [face for face in detector.refine(frames[0].image, boxes) if face]
    assert len(found) == 1


def test_a_face_that_left_is_dropped(finder, frames):
    finder.find(frames[0])
    empty = np.full_like(frames[0].image, 128)
    assert finder.find(Frame(empty, 1, 0.04)) == []


def test_expected_places_outside_the_image_are_no_error(detector, frames):
    boxes = np.array([[-500, -500, -400, -400], [900, 700, 1000, 800]], np.float32)
    assert detector.refine(frames[0].image, boxes) == [None, None]


def test_single_pictures_are_searched_as_a_whole(detector, frames):
    finder = FaceFinder(detector, StageTimer(), still=True)
    for frame in frames[:3]:
        finder.find(frame)
    assert len(finder._timer._seconds["detect"]) == 3


def test_frames_may_change_their_size(finder, frames):
    small = cv2.resize(frames[0].image, (480, 360), interpolation=cv2.INTER_AREA)
    for index, image in enumerate([frames[0].image, small, small, frames[0].image]):
        (face,) = finder.find(Frame(image, index, index / 25))
        assert abs(face.box[:2].mean() / image.shape[0] - 0.46) < 0.1


def test_a_face_cut_by_the_border_is_followed_without_error(finder, frames):
    for index in range(60):
        image = np.roll(frames[0].image, -8 * index, axis=1)
        image[:, max(0, 640 - 8 * index) :] = 128
        faces = finder.find(Frame(image, index, index / 25))
        assert len(faces) <= 1
    assert faces == []
