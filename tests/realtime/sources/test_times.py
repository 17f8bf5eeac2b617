"""Time stamps beyond a day and beyond the 33 bits of MPEG-TS, late beginnings, fresh starts."""

import csv
import json
from fractions import Fraction
from itertools import islice

import av
import numpy as np
import pytest

from realtime.__main__ import main
from realtime.output.video import VideoSink
from realtime.sources.open import open_source
from realtime.sources.video import _Clock
from tests.realtime.support.media import scene, write_video
from tests.realtime.support.paths import CLIP

DAY = 86_400.0
WRAP = 2**33 / 90_000
"""Seconds after which MPEG-TS counts from 0 again: 26.5 hours."""


def clip(path, start, count=50):
    """A video of 25 frames/s whose first time stamp is `start`."""
    codec = "libvpx-vp9" if path.suffix == ".webm" else "libx264"
    images = (scene(index, 64, 48) for index in range(count))
    return write_video(path, images, [start + index / 25 for index in range(count)], codec)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.ts", "a.flv"])
@pytest.mark.parametrize("start", [DAY - 1, WRAP - 1, 500_000.0])
def test_a_late_beginning_changes_nothing(tmp_path, name, start):
    with open_source(clip(tmp_path / name, start)) as source:
        assert abs(source.frames - 50) <= 2, "as many as there are, not as many as would fit"
        times = [frame.time for frame in source]  # and no complaint that something is missing
    assert times == pytest.approx([index / 25 for index in range(50)], abs=2e-3)


def test_time_goes_on_where_mpeg_ts_counts_from_0_again(tmp_path):
    """Late in the file, where FFmpeg has forgotten how it began."""
    with open_source(clip(tmp_path / "a.ts", WRAP - 70, count=2000)) as source:
        times = [frame.time for frame in source]
    assert times == pytest.approx([index / 25 for index in range(2000)], abs=1e-3)


def test_time_goes_on_over_broadcasts_put_together(tmp_path):
    parts = [clip(tmp_path / f"{start:.0f}.ts", start) for start in (0.0, DAY, WRAP - 1, 20_000.0)]
    whole = tmp_path / "whole.ts"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    times = []
    with open_source(whole) as source, pytest.raises(Exception, match="damaged"):
        times.extend(frame.time for frame in source)  # a frame at each seam
    assert len(times) >= 190 and np.diff(times).min() > 0
    assert np.diff(times).max() < 0.2 and times[-1] < 8.1


@pytest.mark.parametrize("jumps", [True, False])
def test_a_clock_that_begins_anew_stays_right(jumps):
    """Five turns of 33 bits in a row, at a rate that varies."""
    gaps = np.random.default_rng(0).uniform(500, 3000, 300)
    truth = np.cumsum(gaps)
    clock = _Clock(Fraction(1, 90_000), step=1000.0, jumps=jumps)
    read = np.diff([clock.read(round(time * 90_000) % 2**33, 0) for time in truth])
    guessed = np.abs(read - gaps[1:]) > 1e-3
    assert guessed.sum() == 5 and read[guessed] == pytest.approx(1000.0)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
@pytest.mark.parametrize(
    "times", [[3600.0 * hour for hour in range(31)], [0.0, 0.04, 1.0, 2.0, 9000.0, 9000.04]]
)
def test_an_hour_without_a_picture_is_no_fresh_start(tmp_path, name, times):
    images = [scene(index % 20, 64, 48) for index in range(len(times))]
    with open_source(write_video(tmp_path / name, images, times)) as source:
        assert [frame.time for frame in source] == pytest.approx(times, abs=1e-3)


@pytest.mark.parametrize("name", ["out.mp4", "out.webm"])
def test_a_recording_keeps_a_pause_longer_than_its_format_can(tmp_path, name):
    """A camera that was away over night: MP4 has pictures of at most 13 hours."""
    times = [0.0, 0.04, 30 * 3600.0, 30 * 3600 + 0.04]
    with VideoSink(tmp_path / name, 64, 48, 25) as sink:
        for index, time in enumerate(times):
            sink.write(scene(index, 64, 48), time)
    with av.open(str(tmp_path / name)) as video:
        kept = np.array([frame.time for frame in video.decode(video=0)])
    assert all(np.abs(kept - time).min() < 2e-3 for time in times)
    assert np.diff(kept).max() <= 3600.1 and kept[-1] == pytest.approx(times[-1], abs=2e-3)


@pytest.mark.parametrize(("name", "start"), [("a.ts", WRAP - 0.3), ("a.mkv", DAY - 0.3)])
def test_records_and_video_of_a_run_begin_at_0_and_do_not_jump(tmp_path, name, start):
    with open_source(CLIP) as source:
        images = [frame.image for frame in islice(source, 15)]
    path = write_video(tmp_path / name, images, [start + index / 25 for index in range(15)])
    video, lines, rows = (tmp_path / f"out.{kind}" for kind in ("mp4", "jsonl", "csv"))
    outputs = ["--output", str(video), "--jsonl", str(lines), "--csv", str(rows)]

    assert main(["--source", str(path), "--no-display", *outputs]) == 0

    expected = pytest.approx([index / 25 for index in range(15)], abs=2e-3)
    assert [json.loads(line)["time"] for line in lines.read_text().splitlines()] == expected
    with open(rows, newline="") as file:
        assert [float(row["time"]) for row in csv.DictReader(file)] == expected
    with av.open(str(video)) as container:
        assert [frame.time for frame in container.decode(video=0)] == expected
