"""A process that decodes a stranger's video: it says the same, is bounded, and may break."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.sources.frame import SourceError
from realtime.sources.isolated import IsolatedVideo
from realtime.sources.video import VideoLimits, VideoSource
from tests.realtime.support.media import scene, spoil, write_video


def test_another_process_gives_the_same_frames(short_clip):
    limits = VideoLimits(strange=True)
    with (
        VideoSource(f"file:{short_clip}", "a") as here,
        IsolatedVideo(short_clip, "a", limits) as there,
    ):
        assert (there.width, there.height, there.fps, there.frames) == (640, 480, 25.0, 25)
        for one, other in zip(here, there, strict=True):
            assert np.array_equal(one.image, other.image)
            assert (one.index, one.time) == (other.index, other.time)


def test_another_process_says_where_a_video_breaks_off(tmp_path):
    path = write_video(tmp_path / "a.mp4", (scene(i) for i in range(80)), movflags="faststart")
    path = spoil(path, 0.5, 0.6)
    with (
        IsolatedVideo(path, "a.mp4", VideoLimits(strange=True)) as video,
        pytest.raises(SourceError, match="damaged|breaks off"),
    ):
        list(video)


def test_closing_ends_the_other_process(short_clip):
    video = IsolatedVideo(short_clip, "a", VideoLimits(strange=True))
    next(iter(video))
    video.close()
    assert video._process.returncode is not None


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os.kill(os.getpid(), 11)", "breaks its decoder off"),
        ("import signal; signal.setitimer(signal.ITIMER_REAL, 0.01); signal.pause()", "10 s"),
        ("raise SystemExit('no')", "breaks its decoder off"),
    ],
)
def test_a_crash_of_the_other_process_is_said(short_clip, tmp_path, monkeypatch, code, words):
    (tmp_path / "crash.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("realtime.sources.isolated._MODULE", "crash")
    with pytest.raises(SourceError, match=words):
        IsolatedVideo(short_clip, "a.mp4", VideoLimits(strange=True))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux bounds memory so")
def test_memory_of_the_other_process_is_bounded(tmp_path):
    """Sixteen pictures of 4K that must be kept: 200 MB."""
    images = [cv2.resize(scene(i), (3840, 2160)) for i in range(2)] * 10
    options = {"preset": "ultrafast", "x264-params": "ref=16:bframes=0:keyint=250"}
    path = write_video(tmp_path / "a.mp4", images, options=options)
    limits = VideoLimits(strange=True, shown=1 << 20)
    with (
        IsolatedVideo(path, "a.mp4", limits) as video,
        pytest.raises(SourceError, match="too much memory"),
    ):
        for frame in video:
            assert frame.image.shape == (720, 1280, 3)
