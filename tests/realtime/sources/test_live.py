"""The loop for cameras, before a camera that fails as its script says."""

import threading
import time
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest

import realtime.sources.live
from realtime.__main__ import main
from realtime.sources.frame import Frame, SourceError
from realtime.sources.live import LiveFeed
from tests.realtime.support.cameras import FakeCamera, Workshop


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The same behaviour in a tenth of the time."""
    for name, seconds in {
        "SILENCE": 0.1, "SAME": 0.15, "TICK": 0.01, "FIRST_WAIT": 0.02, "LONGEST_WAIT": 0.1,
    }.items():  # fmt: skip
        monkeypatch.setattr(realtime.sources.live, name, seconds)


def watch(feed, seconds):
    """Every view of some seconds, with when it came."""
    started, views = time.monotonic(), []
    for view in feed:
        views.append((time.monotonic() - started, view))
        if views[-1][0] > seconds:
            return views


def test_a_slow_reader_gets_the_newest_frame():
    with LiveFeed(FakeCamera([100] * 20), Workshop()) as feed:
        views = iter(feed)
        first = next(view.frame for view in views if view.frame)
        time.sleep(0.5)
        later = next(view.frame for view in views if view.frame)
        assert first.index < 3 and later.index == 19
        assert feed.dropped == later.index - first.index - 1


def test_a_fast_reader_gets_every_frame_once():
    with LiveFeed(FakeCamera([100] * 30), Workshop()) as feed:
        found = (view.frame.index for view in feed if view.frame)
        assert list(islice(found, 30)) == list(range(30))


def test_an_unplugged_camera_is_said_and_used_again_when_it_returns():
    cameras = [FakeCamera([100] * 10 + ["unplugged"]) for _ in range(11)]
    first, *others = cameras
    workshop = Workshop(*[piece for camera in others for piece in (None, camera)])
    with LiveFeed(first, workshop) as feed:
        views = []
        for view in feed:
            views.append(view)
            if feed.received >= 110:
                break
    assert feed.reopened == 10 and all(camera.closed for camera in cameras[:-1])
    troubles = {view.trouble for view in views if view.trouble}
    assert any("Check its cable" in trouble for trouble in troubles)
    assert any("No camera was found" in trouble for trouble in troubles)
    frames = [view.frame for view in views if view.frame]
    assert [frame.index for frame in frames] == sorted(frame.index for frame in frames)
    times = [frame.time for frame in frames]
    assert all(a < b for a, b in pairwise(times)), "time runs on over the break"


def test_silence_is_noticed_and_over_when_frames_come_back():
    with LiveFeed(FakeCamera([100] * 10 + ["silence"] * 30 + [100] * 300), Workshop()) as feed:
        views = watch(feed, 0.7)
    silent = [when for when, view in views if view.trouble and "no picture" in view.trouble]
    assert 0.15 < silent[0] < 0.5
    assert views[-1][1].trouble is None


FAULTS = {
    "silent": (["silence"] * 30, "no picture"),
    "frozen": (["same"] * 40, "stands still"),
    "black": ([0] * 40, "black"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_ten_faults_on_end_are_each_noticed_and_over(fault):
    """A tenth of the true times; in truth each is noticed within two seconds."""
    words, expected = FAULTS[fault]
    script = ([100] * 25 + words) * 10 + [100] * 500
    camera = FakeCamera(script)
    episodes, troubled = [], False
    with LiveFeed(camera, Workshop()) as feed:
        for view in feed:
            if bool(view.trouble) != troubled:
                troubled = not troubled
                episodes.append((feed.received, view.trouble))
            if (
                view.frame is not None
                and feed.received > len(script) - script.count("silence") - 300
            ):
                break
    said = [trouble for _, trouble in episodes if trouble]
    assert len(said) == 10 and all(expected in trouble for trouble in said)
    assert len(episodes) == 20, "and each is over again"


def test_a_busy_or_slow_camera_is_tried_again_until_it_opens():
    """Ten times: it breaks, is busy twice, then takes its time to open."""
    cameras = [FakeCamera([100] * 5 + ["unplugged"]) for _ in range(11)]
    tries = []

    def reopen():
        tries.append(time.monotonic())
        if len(tries) % 3:
            raise SourceError(
                "Camera 0 could not be opened. It is there: close the program that uses it."
            )
        time.sleep(0.15)
        return cameras[len(tries) // 3]

    told = set()
    with LiveFeed(cameras[0], reopen) as feed:
        for view in feed:
            told.add(view.trouble)
            if feed.received >= 55:
                break
    assert feed.reopened == 10 and len(tries) == 30
    assert any(trouble and "close the program" in trouble for trouble in told)


def test_a_camera_that_changes_its_size_goes_on():
    class Changing(FakeCamera):
        def __iter__(self):
            for frame in super().__iter__():
                half = frame.index // 10 % 2
                yield replace(frame, image=frame.image[: 24 if half else 48])

    # Many more frames than are looked at: a busy machine skips some, and the camera must not end.
    with LiveFeed(Changing([100] * 2000), Workshop()) as feed:
        views = list(islice((view for view in feed if view.frame), 40))
    heights = [view.frame.image.shape[0] for view in views]
    changed = next(at for at, height in enumerate(heights) if height != heights[0])
    assert set(heights) == {24, 48}
    assert not any("stands still" in (view.trouble or "") for view in views)
    assert all(view.news is None for view in views[:changed])
    assert views[changed].news == f"the picture has 64×{heights[changed]} pixels now"


def test_a_camera_that_hangs_is_opened_again(monkeypatch):
    monkeypatch.setattr(realtime.sources.live, "HANGS", 0.4)
    cameras = [FakeCamera([100] + ["same"] * 200), FakeCamera([100] * 200)]
    tries = []

    def reopen():
        tries.append(time.monotonic())
        return cameras[len(tries)]

    started = time.monotonic()
    with LiveFeed(cameras[0], reopen) as feed:
        views = watch(feed, 0.9)
    assert len(tries) == 1 and 0.4 < tries[0] - started < 0.8 and cameras[0].closed
    assert any("stands still" in (view.trouble or "") for _, view in views)
    assert views[-1][1].trouble is None


def test_a_still_picture_is_opened_again_less_and_less_often(monkeypatch):
    monkeypatch.setattr(realtime.sources.live, "HANGS", 0.2)
    still, tries = np.full((48, 64, 3), 100, np.uint8), []

    def reopen():
        tries.append(time.monotonic())
        return FakeCamera([still] * 1000)

    with LiveFeed(reopen(), reopen) as feed:
        views = watch(feed, 2.2)
    assert len(tries) == 5, "at first, then after 0.2, 0.4, 0.8 and 1.6 s"
    assert all(view.trouble for when, view in views if when > 0.3)


def test_a_camera_that_begins_in_the_dark_is_not_called_covered():
    first = FakeCamera([100] * 10 + ["unplugged"])
    second = FakeCamera([0] * 8 + [100] * 200)
    workshop = Workshop(*[None] * 4, second)  # away for longer than a black picture may last
    with LiveFeed(first, workshop) as feed:
        views = watch(feed, 0.9)
    assert feed.reopened == 1
    assert not any("black" in (view.trouble or "") for _, view in views)


@pytest.mark.parametrize(
    ("words", "expected"), [(["same"] * 40, "stands still"), ([0] * 40, "black")]
)
def test_a_frozen_or_black_picture_is_noticed_and_over_when_it_changes(words, expected):
    with LiveFeed(FakeCamera([100] * 10 + words + [100] * 300), Workshop()) as feed:
        views = watch(feed, 0.95)
    troubled = [when for when, view in views if view.trouble and expected in view.trouble]
    assert troubled and troubled[0] < 0.8
    assert views[-1][1].trouble is None


def test_a_dark_but_living_picture_is_no_trouble():
    with LiveFeed(FakeCamera([30] * 300), Workshop()) as feed:
        assert not any(view.trouble for _, view in watch(feed, 0.5))


def test_an_error_of_the_program_itself_is_raised():
    class Broken(FakeCamera):
        def __iter__(self):
            yield Frame(np.zeros((48, 64, 3), np.uint8), 0, 0.0)
            raise ZeroDivisionError

    with LiveFeed(Broken([]), Workshop()) as feed, pytest.raises(ZeroDivisionError):
        watch(feed, 1)


def test_closing_stops_the_thread_and_closes_the_camera():
    camera = FakeCamera([100] * 10_000)
    before = threading.active_count()
    with LiveFeed(camera, Workshop()) as feed:
        next(iter(feed))
    assert threading.active_count() == before and camera.closed


class Hanging(FakeCamera):
    """Gives one frame, then hangs until it is let go; notes who closes it, and if in mid-read."""

    def __init__(self):
        super().__init__([100])
        self.let_go, self.reads = threading.Event(), threading.Event()
        self.closed_by, self.torn = [], False

    def __iter__(self):
        yield from super().__iter__()
        self.reads.set()
        self.let_go.wait(20)
        self.reads.clear()

    def close(self):
        self.torn |= self.reads.is_set()
        self.closed_by.append(threading.current_thread().name)


def test_a_camera_that_hangs_is_closed_by_the_thread_that_reads_it(monkeypatch):
    monkeypatch.setattr(realtime.sources.live, "HANGS_UP", 0.05, raising=False)
    camera = Hanging()
    with LiveFeed(camera, Workshop()):
        assert camera.reads.wait(5)
    assert camera.closed_by == []
    camera.let_go.set()
    wait_until(lambda: camera.closed_by)
    assert camera.closed_by == ["camera"] and not camera.torn


def test_the_program_leaves_a_camera_to_the_thread_that_reads_it(monkeypatch, tmp_path):
    camera = Hanging()

    def process(self, views, total):
        next(views)
        assert camera.reads.wait(5)

    monkeypatch.setattr(realtime.sources.live, "HANGS_UP", 0.05, raising=False)
    monkeypatch.setattr("realtime.reading.open_source", lambda single, mode: camera)
    monkeypatch.setattr("realtime.run.Run.process", process)
    assert main(["--camera", "0", "--no-display", "--jsonl", str(tmp_path / "out.jsonl")]) == 0
    camera.let_go.set()
    wait_until(lambda: camera.closed_by)
    assert camera.closed_by == ["camera"] and not camera.torn


def test_a_camera_is_closed_where_the_program_does_not_come_to_read_it(monkeypatch, tmp_path):
    camera, opened = Hanging(), []
    monkeypatch.setattr("realtime.reading.open_source", lambda *_: opened.append(1) or camera)
    nowhere = ["--camera", "0", "--no-display", "--jsonl", str(tmp_path / "out.jsonl")]
    assert main([*nowhere, "--min-face", "3"]) == 2
    assert not opened, "nor is it opened where the networks cannot be"
    assert main(["--camera", "0", "--no-display", "--jsonl", str(tmp_path / "no" / "o.jsonl")]) == 1
    assert camera.closed_by == ["MainThread"]


def wait_until(true, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
