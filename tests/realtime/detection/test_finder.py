"""Carrying known faces and finding new ones, against the whole cascade on every frame."""

from dataclasses import replace
from itertools import islice

import cv2
import numpy as np
import pytest

from realtime.detection.area import AreaSampler
from realtime.detection.finder import SEARCH_FRAMES, FaceFinder
from realtime.detection.mtcnn import Detector
from realtime.detection.pyramid import pyramid, spread
from realtime.sources.frame import Frame
from realtime.sources.open import open_source
from realtime.timing import StageTimer
from tests.realtime.carried import Waits, distance, shifted_by_one
from tests.realtime.support.media import face_at
from tests.realtime.support.paths import CLIP


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
    """About as near as the cascade is to itself when the picture is shifted by one pixel."""
    carried_off, shifted_off = [], []
    for frame in frames[:90]:
        (carried,) = finder.find(frame)
        if frame.index % 5 == 4:
            (seen,) = detector.detect(frame.image)
            (shifted,) = shifted_by_one(detector, frame.image)
            carried_off.append(distance(carried, seen))
            shifted_off.append(distance(shifted, seen))
    assert np.median(carried_off) < 1.5 * np.median(shifted_off)
    assert np.median(carried_off) < 0.012 and max(carried_off) < 0.02


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


def longest_wait(finder, frames) -> int:
    """For how many frames on end, at most, a face was missing that the whole cascade is sure of."""
    waits, longest = Waits(), 0
    for frame in frames:
        found = finder.find(frame)
        longest = max([longest, *waits.of(finder.detector.detect(frame.image), found)])
    return longest


@pytest.mark.slow
def test_every_face_is_found_within_five_frames(finder, frames):
    assert longest_wait(finder, frames) < 5


@pytest.mark.slow
def test_every_face_in_the_street_is_found_within_five_frames(finder, shared_data):
    with open_source(shared_data / "video" / "crowd_1080p.mp4") as source:
        assert longest_wait(finder, islice(source, 40)) < 5


def test_a_frame_may_be_drawn_on_once_its_faces_are_known(detector, frames):
    """The search that still goes on must not see it."""
    results = []
    for drawn in (False, True):
        finder = FaceFinder(detector, StageTimer())
        results.append([])
        for frame in frames[205:245]:  # she leaves and comes back
            image = frame.image.copy()
            faces = finder.find(replace(frame, image=image))
            results[-1].append([face.box.tolist() for face in faces])
            if drawn:
                image[:] = 0
    assert results[0] == results[1] and [] in results[0] and results[0][-1]


def test_an_empty_scene_is_searched_a_little_at_a_time(finder, frames):
    for index in range(10):
        assert finder.find(Frame(np.full_like(frames[0].image, 128), index, index / 25)) == []
    assert len(finder._timer._seconds["detect"]) == 1


def test_a_hidden_face_is_back_in_the_frame_in_which_it_shows(finder, frames):
    both = np.concatenate([frames[0].image, frames[0].image], axis=1)
    hidden = both.copy()
    hidden[:, 640:] = 128
    ids = []
    for index in range(40):
        image = hidden if 5 <= index < 35 else both
        ids.append({face.track_id for face in finder.find(Frame(image, index, index / 25))})
    assert ids[:5] == [{0, 1}] * 5 and all(len(seen) == 1 for seen in ids[5:35])
    assert ids[35:] == [{0, 1}] * 5


def test_frames_far_apart_in_time_are_searched_as_a_whole(finder, frames):
    for second in range(3):
        finder.find(Frame(frames[0].image, second, float(second)))
    assert len(finder._timer._seconds["detect"]) == 3


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


class Clock:
    """Time that passes where the test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class SlowDetector:
    """Sees one face: in the whole frame in `whole` seconds, and where it was before in `near`
    seconds, but there not where it is too `fast`."""

    min_face, max_faces = 40, None

    def __init__(self, clock: Clock, whole: float, near: float, fast: bool = False):
        self.clock, self.whole, self.near, self.fast, self.searches = clock, whole, near, fast, 0

    def detect(self, image):
        self.searches += 1
        self.clock.now += self.whole
        return [face_at(100, 100)]

    def refine(self, image, boxes):
        self.clock.now += self.near
        return [None if self.fast else face_at(100, 100)] + [None] * (len(boxes) - 1)

    def search(self, sampler, parts, known):
        return []

    def close(self):
        pass


def before_a_camera(whole: float, near: float, rest: float, fast: bool = False, live: bool = True):
    """Frames in a minute, how many of them were searched as a whole, and the ids, where the newest
    frame wins and the rest of the program takes `rest` seconds for each."""
    clock = Clock()
    detector = SlowDetector(clock, whole, near, fast)
    finder = FaceFinder(detector, StageTimer(), clock=clock)
    image, count, ids = np.zeros((120, 160, 3), np.uint8), 0, set()
    while clock.now < 160:
        captured = clock.now if live else None
        ids |= {face.track_id for face in finder.find(Frame(image, count, clock.now, captured))}
        clock.now += rest
        count += 1
    return count, detector.searches, ids


def test_a_slow_machine_does_not_search_the_whole_frame_for_being_slow():
    count, searches, ids = before_a_camera(whole=0.35, near=0.05, rest=0.1)
    assert searches == 1 and count > 390, "one search does not bring on the next"
    assert ids == {0}


@pytest.mark.parametrize("fast", [False, True])
def test_on_a_machine_slower_still_such_searches_take_a_quarter_of_the_time(fast):
    """Everything else alone takes longer than the gap that asks for one, or the face is lost
    between two frames every time."""
    count, searches, _ = before_a_camera(whole=1.2, near=0.1, rest=0.5, fast=fast)
    assert searches >= 5 and 1.2 * searches <= 0.27 * 60
    assert count > 70, "of 35 with a whole search for each"


def test_a_slow_camera_before_a_quick_machine_is_searched_as_a_whole_each_time():
    count, searches, _ = before_a_camera(whole=0.02, near=0.005, rest=0.98)
    assert searches == count == 60


def test_what_is_found_in_a_file_does_not_depend_on_the_time_it_takes():
    count, searches, _ = before_a_camera(whole=1.2, near=0.1, rest=0.5, live=False)
    assert searches == count


def test_a_search_that_failed_does_not_fail_in_every_frame_after_it(detector, frames, monkeypatch):
    finder = FaceFinder(detector, StageTimer())
    finder.find(frames[0])
    with monkeypatch.context() as broken:
        broken.setattr(detector, "search", lambda *arguments: 1 / 0)
        finder.find(frames[1])
        finder._search.exception()
    with pytest.raises(ZeroDivisionError):
        finder.find(frames[2])
    assert len(finder.find(frames[3])) == 1
