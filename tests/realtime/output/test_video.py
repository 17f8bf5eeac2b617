import os
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from realtime.output.files import SinkError
from realtime.output.video import VideoSink
from realtime.sources.open import open_source
from tests.realtime.support.media import scene
from tests.realtime.support.paths import ROOT

VIDEOS = ["out.mp4", "out.webm"]


def decoded(path):
    with av.open(str(path)) as container:
        return [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


@pytest.mark.parametrize("name", VIDEOS)
def test_video_keeps_pictures_and_times(tmp_path, name):
    times = [3.0, 3.04, 3.1, 3.5, 3.52]
    with VideoSink(tmp_path / name, 160, 120, 25) as sink:
        for index, time in enumerate(times):
            sink.write(scene(index), time)
    got = decoded(tmp_path / name)
    assert [time for time, _ in got] == pytest.approx([t - 3.0 for t in times], abs=6e-4)
    for index, (_, image) in enumerate(got):
        assert np.abs(image.astype(int) - scene(index)).mean() < 8


@pytest.mark.parametrize(("name", "codec"), [("out.mp4", "h264"), ("out.webm", "vp9")])
def test_video_is_what_browsers_play(tmp_path, name, codec):
    with VideoSink(tmp_path / name, 160, 120, 25) as sink:
        for index in range(60):
            sink.write(scene(index), index / 25)
    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.codec.canonical_name == codec
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.codec_context.colorspace == 1  # BT.709, tagged
        assert container.duration / av.time_base == pytest.approx(60 / 25, abs=0.05)
        keys = [frame.time for frame in container.decode(stream) if frame.key_frame]
    assert np.diff(keys).max() <= 1.01


@pytest.mark.parametrize("name", VIDEOS)
def test_colours_survive(tmp_path, name):
    colors = [(220, 30, 30), (30, 220, 30), (30, 30, 220), (128, 128, 128)]
    with VideoSink(tmp_path / name, 64, 64, 25) as sink:
        for index, color in enumerate(colors):
            sink.write(np.full((64, 64, 3), color, np.uint8), index / 25)
    for color, (_, image) in zip(colors, decoded(tmp_path / name), strict=True):
        assert np.abs(image.astype(int) - color).max() <= 8


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize("size", [(161, 120), (160, 121), (161, 121)])
def test_odd_sizes_grow_by_a_repeated_line(tmp_path, name, size):
    width, height = size
    image = scene(0, width, height)
    with VideoSink(tmp_path / name, width, height, 25) as sink:
        sink.write(image, 0)
    ((_, got),) = decoded(tmp_path / name)
    assert got.shape == (height + height % 2, width + width % 2, 3)
    assert np.abs(got[:height, :width].astype(int) - image).mean() < 6
    assert np.abs(got[-1, :width].astype(int) - image[-1]).mean() < 12


def test_times_that_stand_still_or_go_back_move_up(tmp_path):
    with VideoSink(tmp_path / "out.mp4", 160, 120, 25) as sink:
        for index, time in enumerate([0, 0.04, 0.04, 0.02, 0.2]):
            sink.write(scene(index), time)
    times = [time for time, _ in decoded(tmp_path / "out.mp4")]
    assert len(times) == 5 and np.diff(times).min() > 0
    assert times[-1] == pytest.approx(0.2)


def test_picture_of_another_size_is_fitted_in(tmp_path):
    with VideoSink(tmp_path / "out.mp4", 160, 120, 1) as sink:
        sink.write(np.full((120, 160, 3), 200, np.uint8), 0)
        sink.write(np.full((240, 120, 3), 200, np.uint8), 1)
    image = decoded(tmp_path / "out.mp4")[1][1]
    assert image.shape == (120, 160, 3)
    assert image[60, 80].min() > 180 and image[60, 20].max() < 20


@pytest.mark.parametrize("name", VIDEOS)
def test_killed_run_leaves_a_playable_video(tmp_path, name):
    path = tmp_path / name
    program = (
        "import sys, time\n"
        "from realtime.output.video import VideoSink\n"
        "from tests.realtime.support.media import scene\n"
        "sink = VideoSink(sys.argv[1], 160, 120, 25)\n"
        "for index in range(10_000):\n"
        "    sink.write(scene(index), index / 25)\n"
        "    print(index, flush=True)\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
        written = 0
        while written < 100:
            written = int(writer.stdout.readline())
        writer.kill()
    with open_source(path) as opened:
        frames = list(opened)  # without a SourceError
    assert len(frames) >= written - 30  # about a second
    assert np.abs(frames[50].image.astype(int) - scene(50)).mean() < 8
    capture = cv2.VideoCapture(str(path))
    assert capture.read()[0]


@pytest.mark.parametrize("name", VIDEOS)
def test_full_disk_is_one_line_and_keeps_the_rest(tmp_path, name):
    program = (
        "import resource, sys\n"
        "import numpy as np\n"
        "from realtime.output.files import SinkError\n"
        "from realtime.output.video import VideoSink\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"
        "rng = np.random.default_rng(0)\n"
        "try:\n"
        "    with VideoSink(sys.argv[1], 160, 120, 25) as sink:\n"
        "        for index in range(400):\n"
        "            noise = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)\n"
        "            sink.write(noise, index / 25)\n"
        "except SinkError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1 and f"{name} cannot be written: " in done.stdout
    capture = cv2.VideoCapture(str(tmp_path / name))
    frames = 0
    while capture.read()[0]:
        frames += 1
    assert frames >= 5


def test_video_without_pictures_leaves_no_file(tmp_path):
    sink = VideoSink(tmp_path / "out.mp4", 160, 120, 25)
    sink.close()
    sink.close()
    assert not (tmp_path / "out.mp4").exists()


def test_unknown_video_format_names_the_known(tmp_path):
    with pytest.raises(SinkError, match=r"\.mp4 or \.webm"):
        VideoSink(tmp_path / "out.avi", 160, 120, 25)
    assert not (tmp_path / "out.avi").exists()


@pytest.mark.parametrize("name", VIDEOS)
def test_a_video_that_cannot_be_set_up_leaves_neither_a_file_nor_an_open_one(
    tmp_path, name, monkeypatch
):
    def fail(self, context, fps):
        raise ValueError("no such encoder")

    monkeypatch.setattr(VideoSink, "_set_up", fail)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    with pytest.raises(ValueError, match="no such encoder") as caught:
        VideoSink(tmp_path / name, 160, 120, 25)
    assert not (tmp_path / name).exists()
    if before:  # while the error is still looked at, and so the sink still there
        assert caught.tb is not None and len(os.listdir("/proc/self/fd")) == before
