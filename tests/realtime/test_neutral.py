"""Whose reference it is: it stays with the id of a face and goes with it."""

from dataclasses import replace

import numpy as np
import pytest

from realtime.faces import EXPRESSIONS
from realtime.neutral import DONE_SHOWN, MOST, OFFERED, NeutralFaces
from realtime.number_file import ReferenceFileError
from realtime.reference import Reference
from tests.realtime.support.media import make_face
from tests.realtime.support.resting import FRONTAL, POPULATION, resting, shifted

HAPPINESS = EXPRESSIONS.index("happiness")


@pytest.fixture
def neutral():
    return NeutralFaces(lambda: POPULATION)


@pytest.fixture(scope="module")
def reference():
    """Of a person whose happiness at rest lies far below the average's."""
    readings = resting(np.random.default_rng(0), 60, offset=-2.0)
    return Reference.capture(POPULATION, readings, [FRONTAL] * len(readings))


def rest(seed=1):
    return resting(np.random.default_rng(seed), 1, offset=-2.0)[0]


def faint_smile(seed=1):
    """That the network takes for neutral."""
    smile = shifted(rest(seed), HAPPINESS, 3.0)
    assert smile.argmax() == 0
    return smile


def seen(expression, track_id=0, size=100.0, center=(200, 200)):
    face = make_face(center, size, track_id=track_id)
    return replace(face, expression=expression, pose=FRONTAL)


def read(neutral, faces, time=0.0):
    return neutral.read(faces, {face.track_id for face in faces}, time)


def test_without_a_reference_a_face_stays_what_it_is(neutral):
    given = seen(rest())
    (face,) = read(neutral, [given])
    assert face is given and face.raw is face.intensity is face.reference is None
    assert neutral.told is None and not neutral.expected


def test_a_faint_smile_is_seen_with_raw_and_intensity_beside(neutral, reference):
    neutral.give(reference, name="me.json")
    smile = faint_smile()
    (face,) = read(neutral, [seen(smile)])
    assert face.label == "happiness" and face.raw is smile and face.reference == "me.json"
    assert face.expression.sum() == pytest.approx(1, abs=1e-5)
    assert 0 < face.intensity[HAPPINESS] < 0.6
    assert neutral.told == "neutral: #0"


def test_it_goes_to_the_largest_face_of_the_first_frame_with_one(neutral, reference):
    neutral.give(reference)
    assert read(neutral, []) == []
    pair = [seen(faint_smile(), 4, 200), seen(faint_smile(), 2, 100)]
    near, far = read(neutral, pair, 0.1)
    assert near.raw is not None and far.raw is None


def test_the_next_largest_face_does_not_inherit_it(neutral, reference):
    neutral.give(reference)
    read(neutral, [seen(rest(), 0, 200), seen(rest(), 1)])
    (other,) = neutral.read([seen(rest(), 1)], {0, 1}, 1.0)
    assert other.raw is None and neutral.owners == [0], "hidden for a moment, it keeps its own"
    (other,) = neutral.read([seen(rest(), 1)], {1}, 2.0)
    assert other.raw is None and neutral.owners == [] and neutral.lost == 0
    assert neutral.told == "neutral: #0 is gone"
    read(neutral, [seen(rest(), 1)], 2.1 + OFFERED)
    assert neutral.told is None


def test_several_people_have_one_each_and_their_number_is_bounded(neutral, reference):
    other = Reference.of_nobody(POPULATION)
    neutral.give(reference, 1, "one")
    neutral.give(other, 2, "two")
    one, two = read(neutral, [seen(faint_smile(), 1), seen(faint_smile(), 2)])
    assert (one.reference, two.reference) == ("one", "two")
    assert (one.label, two.label) == ("happiness", "neutral")
    neutral.drop(1)
    assert read(neutral, [seen(rest(), 1), seen(rest(), 2)])[0].raw is None
    for track_id in range(10, 10 + 2 * MOST):
        neutral.give(reference, track_id)
    assert len(neutral.owners) == MOST and neutral.owners[-1] == 9 + 2 * MOST


def captured(neutral, faces_of, start=0.0):
    """Frames until the capture is over; the time of the last."""
    for index in range(120):
        read(neutral, faces_of(index), start + index / 30)
        if not neutral.capturing:
            return start + index / 30
    raise AssertionError("Nothing was captured.")


def test_a_capture_belongs_to_the_face_it_was_made_of(neutral):
    frames = resting(np.random.default_rng(2), 200, offset=-2.0)
    neutral.begin_capture()
    assert neutral.expected
    end = captured(neutral, lambda index: [seen(frames[index], 5)])
    assert neutral.owners == [5] and neutral.captured.frames >= 20
    assert neutral.progress.message == "done"
    (face,) = read(neutral, [seen(faint_smile(), 5)], end + 0.1)
    assert face.label == "happiness" and face.reference.startswith("captured at 2.")
    read(neutral, [], end + 0.2 + DONE_SHOWN)
    assert neutral.progress is None


def test_the_second_capture_takes_who_has_none_and_reads_the_network_alone(neutral):
    frames = resting(np.random.default_rng(3), 400, offset=-2.0)

    def both(index):
        return [seen(frames[index], 1, 200), seen(frames[200 + index], 2, 100, (500, 200))]

    neutral.begin_capture()
    end = captured(neutral, both)
    first = neutral.captured
    neutral.begin_capture()
    end = captured(neutral, both, end + 1)
    assert neutral.owners == [1, 2]
    neutral.begin_capture()
    captured(neutral, both, end + 1)
    assert neutral.owners == [2, 1], "where all have one, the nearest is taken again"
    # What the first was made of, and not what it made of that.
    np.testing.assert_allclose(neutral.captured.mean, first.mean, atol=1e-6)


def test_a_capture_does_not_wait_for_a_face_that_never_comes_back(neutral, reference):
    frames = list(resting(np.random.default_rng(5), 120, offset=-2.0))
    neutral.give(reference, 1)
    read(neutral, [seen(rest(), 1, 200), seen(rest(), 2)])
    neutral.begin_capture()
    read(neutral, [seen(rest(), 1, 200), seen(rest(), 2)], 0.1)
    assert neutral.progress.track_id == 2
    captured(neutral, lambda index: [seen(frames[index], 1)], 5.0)
    assert neutral.owners == [1] and neutral.captured.frames >= 20


def test_a_capture_can_be_given_up(neutral):
    neutral.begin_capture()
    read(neutral, [seen(rest())])
    neutral.end_capture()
    assert not neutral.capturing and neutral.progress is None


def test_adapting_learns_each_face_until_it_is_gone(neutral):
    neutral.adapt = True
    frames = list(resting(np.random.default_rng(4), 400, offset=-2.0))
    for index, frame in enumerate(frames):
        (face,) = read(neutral, [seen(frame, 0)], index / 10)
    assert face.reference == "learnt" and face.raw is frames[-1]
    assert read(neutral, [seen(faint_smile(), 0)], 41.0)[0].label == "happiness"
    assert neutral.read([seen(faint_smile(), 1)], {1}, 42.0)[0].label == "neutral"
    assert len(neutral._learning) == 1
    crowd = [seen(rest(), track_id) for track_id in range(3 * MOST)]
    read(neutral, crowd, 43.0)
    assert len(neutral._learning) == MOST


def test_what_is_captured_comes_before_what_is_learnt(neutral, reference):
    neutral.adapt = True
    neutral.give(reference, 0, "me.json")
    assert read(neutral, [seen(rest())])[0].reference == "me.json"


def test_a_model_without_a_population_is_told_when_one_is_needed(tmp_path):
    def missing():
        raise ReferenceFileError("It is missing.")

    neutral = NeutralFaces(missing)
    read(neutral, [seen(rest())])
    with pytest.raises(ReferenceFileError):
        neutral.begin_capture()
    with pytest.raises(ReferenceFileError):
        neutral.load(tmp_path / "me.json")


def test_another_models_file_is_refused(neutral, reference, tmp_path):
    reference.save(tmp_path / "me.json")
    neutral.load(tmp_path / "me.json")
    assert read(neutral, [seen(faint_smile())])[0].reference == "me.json"
    stranger = NeutralFaces(lambda: replace(POPULATION, model="b" * 64))
    with pytest.raises(ReferenceFileError, match="belongs to another model"):
        stranger.load(tmp_path / "me.json")
