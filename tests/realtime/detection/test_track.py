import numpy as np

from realtime.detection.track import Tracker
from realtime.faces import Face
from realtime.smooth import Smoother
from tests.realtime.support.media import face_at

FPS = 25.0


def follow(tracker: Tracker, frames: list[list[Face]]) -> list[list[int]]:
    return [
        [face.track_id for face in tracker.update(faces, index / FPS)]
        for index, faces in enumerate(frames)
    ]


def test_a_face_that_moves_keeps_its_id():
    frames = [[face_at(100 + 6 * i, 200 + 3 * np.sin(i))] for i in range(60)]
    assert follow(Tracker(), frames) == [[0]] * 60


def test_faces_that_cross_keep_their_ids():
    """Left goes right and right goes left; in the middle only one of them is seen."""
    left = [face_at(100 + 8 * i, 200) for i in range(50)]
    right = [face_at(500 - 8 * i, 204, 64) for i in range(50)]
    hidden = range(23, 28)
    frames = [
        [a] if i in hidden else [a, b] for i, (a, b) in enumerate(zip(left, right, strict=True))
    ]

    ids = follow(Tracker(), frames)

    assert ids[0] == [0, 1] and ids[-1] == [0, 1]
    assert all(found == [0, 1] for i, found in enumerate(ids) if i not in hidden)


def test_the_order_of_detections_does_not_matter():
    a, b = face_at(100, 200), face_at(400, 200)
    tracker = Tracker()
    assert [f.track_id for f in tracker.update([a, b], 0.0)] == [0, 1]
    assert [f.track_id for f in tracker.update([b, a], 0.04)] == [1, 0]


def test_a_short_absence_keeps_the_id_a_long_one_does_not():
    face = face_at(100, 200)
    for absent, expected in ((0.8, 0), (1.5, 1)):
        tracker = Tracker(max_gap=1.0)
        tracker.update([face], 0.0)
        tracker.update([], 0.04)
        (back,) = tracker.update([face], absent)
        assert back.track_id == expected


def test_another_face_elsewhere_or_of_another_size_is_a_new_one():
    tracker = Tracker()
    tracker.update([face_at(100, 200)], 0.0)
    ids = [f.track_id for f in tracker.update([face_at(300, 200), face_at(100, 200, 150)], 0.04)]
    assert ids == [1, 2]


def test_ids_are_never_used_twice():
    tracker = Tracker(max_gap=0.1)
    seen = [tracker.update([face_at(100, 200)], second)[0].track_id for second in range(5)]
    assert seen == [0, 1, 2, 3, 4]


def test_a_hand_across_the_face_for_two_seconds_keeps_the_id():
    random, tracker = np.random.default_rng(0), Tracker()
    for i in range(50):
        tracker.update([face_at(200 + random.normal(), 200 + random.normal())], i / FPS)
    for i in range(50, 100):
        tracker.update([], i / FPS)
    (back,) = tracker.update([face_at(215, 195)], 100 / FPS)
    assert back.track_id == 0


def test_a_hundred_thousand_ids_are_forgotten_one_after_the_other():
    tracker, smoother = Tracker(), Smoother()
    crowd = [face_at(100.0 * column, 100.0 * row) for row in range(10) for column in range(10)]
    for second in range(0, 3000, 3):  # away for longer than any of them is waited for
        found = tracker.update(crowd, float(second))
        if second < 30 or second > 2970:
            smoother.update(found, float(second))
        assert len(tracker._tracks) == len(crowd)
    assert max(face.track_id for face in found) == 99_999
    assert len(smoother._states) == len(crowd)
