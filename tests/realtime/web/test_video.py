"""Videos without a browser: limits, cancelling and the timeline."""

import itertools
import json
import threading

import pytest

from realtime.web import video as module
from realtime.web.checks import Refused
from realtime.web.networks import Networks
from realtime.web.video import Cancelled, recognise_video, timeline_of
from tests.realtime.support.media import scene, write_video


@pytest.fixture(scope="module")
def networks():
    with Networks("onnxruntime", "cpu") as networks:
        yield networks


def run(path, networks, folder, stop=None, progress=lambda done, total: None):
    return recognise_video(path, networks, folder, progress, stop or threading.Event())


def test_progress_counts_the_frames(networks, short_clip, tmp_path):
    told = []
    result = run(short_clip, networks, tmp_path, progress=lambda *count: told.append(count))
    assert told == [(index, 25) for index in range(25)]
    assert result.frames == 25 and result.trouble is None
    assert {path.name for path in tmp_path.iterdir()} == {
        "annotated.mp4",
        "faces.csv",
        "faces.jsonl",
    }


def test_it_stops_when_told(networks, short_clip, tmp_path):
    stop = threading.Event()
    with pytest.raises(Cancelled):
        run(short_clip, networks, tmp_path, stop, lambda done, total: done == 3 and stop.set())


def test_too_large_and_too_long_are_refused(networks, tmp_path, monkeypatch):
    path = write_video(tmp_path / "video.mp4", [scene(index) for index in range(60)])
    monkeypatch.setattr(module, "VIDEO_SECONDS", 0)
    with pytest.raises(Refused, match="Cut it"):
        run(path, networks, tmp_path)
    monkeypatch.setattr(module, "VIDEO_PIXELS", 100)
    with pytest.raises(Refused, match="160×120 pixels"):
        run(path, networks, tmp_path)


def test_what_takes_too_long_breaks_off_and_is_shown_so_far(networks, short_clip, tmp_path):
    now = [0.0]

    def progress(done, total):
        now[0] += module.VIDEO_WORK / 9.5

    result = recognise_video(
        short_clip, networks, tmp_path, progress, threading.Event(), lambda: now[0]
    )
    assert "longer than 10 minutes" in result.trouble and "try again" in result.trouble
    assert result.frames == 10 and len(result.jsonl.read_text().splitlines()) == 10


def test_a_playlist_opens_nothing_else(networks, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    for name, url in (("a.mp4", "http://192.0.2.1/x.ts"), ("b.m3u8", f"file://{secret}")):
        playlist = tmp_path / name
        playlist.write_text(f"#EXTM3U\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n")
        with pytest.raises(Refused):
            run(playlist, networks, tmp_path)


def record(time, *ids):
    expression = {"probabilities": dict.fromkeys("abcdefgh", 0.125)}
    pose = {"yaw": 1.0, "pitch": 2.0, "roll": 3.0}
    faces = [{"id": track_id, "expression": expression, "pose": pose} for track_id in ids]
    return json.dumps({"frame": 0, "time": time, "faces": faces})


def test_the_timeline_keeps_its_samples_few_and_the_longest_face_first(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "POINTS", 10)
    path = tmp_path / "faces.jsonl"
    path.write_text("\n".join(record(t / 10, *([5] if t < 3 else []), 7) for t in range(101)))
    timeline = timeline_of(path)
    assert timeline["length"] == 10.0
    assert [face["id"] for face in timeline["faces"]] == [7, 5]
    samples = timeline["faces"][0]["samples"]
    assert 10 <= len(samples) <= 12 and samples[0] == [0.0, *[0.125] * 8, 1.0, 2.0, 3.0]
    assert timeline["gap"] >= 3 * max(b[0] - a[0] for a, b in itertools.pairwise(samples)) * 0.99


def test_a_timeline_of_nothing(tmp_path):
    path = tmp_path / "faces.jsonl"
    path.write_text("")
    assert timeline_of(path)["faces"] == []
