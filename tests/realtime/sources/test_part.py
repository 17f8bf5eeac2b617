import numpy as np
import pytest

from realtime.sources.frame import Frame
from realtime.sources.live import View
from realtime.sources.part import Part

IMAGE = np.zeros((16, 16, 3), np.uint8)


def frames(count=20, fps=10):
    for index in range(count):
        yield Frame(IMAGE, index, index / fps)


def taken(part, items):
    return [frame.index for frame in part.of(items)]


def test_a_part_by_time_and_by_count():
    assert taken(Part(), frames()) == list(range(20))
    assert taken(Part(0.5, 0.9), frames()) == [5, 6, 7, 8]
    assert taken(Part(every=7), frames()) == [0, 7, 14]
    assert taken(Part(0.5, 1.5, 3), frames()) == [5, 8, 11, 14]
    assert taken(Part(5), frames()) == []


def test_what_comes_after_the_end_is_not_read():
    rest = frames()
    assert taken(Part(end=0.3), rest) == [0, 1, 2]
    assert next(rest).index == 4


def test_views_without_a_frame_come_through_and_dropped_frames_do_not_starve_it():
    views = [View(Frame(IMAGE, index, index / 10), None) for index in (0, 2, 5, 6, 8, 11)]
    views.insert(2, View(None, "no picture for 1 s"))
    out = list(Part(every=3).of_views(views))
    assert [view.frame and view.frame.index for view in out] == [0, None, 5, 8, 11]


@pytest.mark.parametrize(
    "part", [Part(), Part(0.5, 0.9), Part(0.55, 1.25, 3), Part(end=9), Part(5)]
)
def test_how_many_frames_are_expected(part):
    assert part.frames(20, 10) == len(taken(part, frames()))
    assert part.frames(None, 10) is None


def test_a_live_source_ends_in_time_though_no_frame_comes():
    silent = (View(None, "no picture for 1 s", None, second) for second in range(100))
    assert [view.time for view in Part(end=5).of_views(silent)] == [0, 1, 2, 3, 4]


def test_without_a_rate_a_part_by_time_is_of_unknown_size():
    assert Part(every=4).frames(20, None) == 5 and Part(end=1).frames(20, None) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": -1}, "cannot start at -1 s: give 0 or more"),
        ({"start": float("nan")}, "cannot start at nan"),
        ({"start": 3, "end": 3}, "From 3 s to 3 s there is nothing: give a later end"),
        ({"end": 0}, "From 0 s to 0 s there is nothing"),
        ({"end": float("nan")}, "there is nothing"),
        ({"every": 0}, "One of 0 frames cannot be taken: give 1 or more"),
    ],
)
def test_a_part_that_is_none(options, words):
    with pytest.raises(ValueError, match=words):
        Part(**options)
