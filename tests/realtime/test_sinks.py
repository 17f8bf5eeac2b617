import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from realtime.faces import EXPRESSIONS
from realtime.sinks import CsvSink, JsonlSink, SinkError, VideoSink
from realtime.source import Frame, open_source
from tests.realtime.media import make_face, scene

FRAME = Frame(np.zeros((120, 160, 3), np.uint8), 12, 0.4800001)
VIDEOS = ["out.mp4", "out.webm"]
SINKS = {
    "out.mp4": lambda path: VideoSink(path, 160, 120, 25),
    "out.webm": lambda path: VideoSink(path, 160, 120, 25),
    "out.jsonl": JsonlSink,
    "out.csv": CsvSink,
}


def decoded(path):
    with av.open(str(path)) as container:
        return [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


def refused(make, path):
    with pytest.raises(SinkError) as caught:
        make(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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
        "from realtime.sinks import VideoSink\n"
        "from tests.realtime.media import scene\n"
        "sink = VideoSink(sys.argv[1], 160, 120, 25)\n"
        "for index in range(10_000):\n"
        "    sink.write(scene(index), index / 25)\n"
        "    print(index, flush=True)\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as writer:
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
        "from realtime.sinks import SinkError, VideoSink\n"
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
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
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
    message = refused(SINKS["out.mp4"], tmp_path / "out.avi")
    assert ".mp4 or .webm" in message
    assert not (tmp_path / "out.avi").exists()


@pytest.mark.parametrize("name", SINKS)
def test_folder_that_does_not_exist(tmp_path, name):
    message = refused(SINKS[name], tmp_path / "none" / name)
    assert f"create the folder {tmp_path / 'none'} first" in message


@pytest.mark.parametrize("name", SINKS)
def test_output_is_a_folder(tmp_path, name):
    (tmp_path / name).mkdir()
    assert "is a folder" in refused(SINKS[name], tmp_path / name)


@pytest.mark.parametrize("name", SINKS)
def test_folder_that_cannot_be_written(tmp_path, name):
    (tmp_path / "file").touch()
    assert "cannot be written" in refused(SINKS[name], tmp_path / "file" / name)


@pytest.mark.parametrize("name", SINKS)
def test_permission_denied(tmp_path, name, monkeypatch):
    def deny(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", deny)
    assert "cannot be written: Permission denied" in refused(SINKS[name], tmp_path / name)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a thing of Linux")
def test_line_to_a_full_disk():
    with JsonlSink("/dev/full") as sink, pytest.raises(SinkError, match="No space left"):
        sink.write(FRAME, [])
    with pytest.raises(SinkError, match="No space left"):
        CsvSink("/dev/full")


def test_half_a_line_is_taken_back(tmp_path):
    program = (
        "import resource, sys\n"
        "from realtime.sinks import JsonlSink, SinkError\n"
        "from tests.realtime.test_sinks import FRAME, make_face\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "try:\n"
        "    with JsonlSink(sys.argv[1]) as sink:\n"
        "        for _ in range(100):\n"
        "            sink.write(FRAME, [make_face()])\n"
        "except SinkError as error:\n"
        "    print(error)\n"
    )
    path = tmp_path / "out.jsonl"
    command = [sys.executable, "-c", program, str(path)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
    assert "cannot be written: File too large" in done.stdout
    text = path.read_text()
    assert text.endswith("\n") and text.count("\n") >= 2
    assert all(json.loads(line)["frame"] == 12 for line in text.splitlines())


def test_half_a_line_of_a_large_file_is_taken_back_without_reading_it(tmp_path):
    """The file has 30 MB when it gets full; taking back its last line takes next to nothing."""
    program = (
        "import resource, sys, tracemalloc\n"
        "from realtime.sinks import CsvSink, SinkError\n"
        "from tests.realtime.test_sinks import FRAME, make_face\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000_000, 30_000_000))\n"
        "faces = [make_face() for _ in range(400)]\n"
        "with CsvSink(sys.argv[1]) as sink:\n"
        "    rows = sink._file.write\n"
        "    text = []\n"
        "    sink._file.write = text.append\n"
        "    sink.write(FRAME, faces)\n"
        "    sink._file.write = rows\n"
        "    tracemalloc.start()\n"
        "    try:\n"
        "        while True:\n"
        "            rows(text[0])\n"
        "    except SinkError as error:\n"
        "        print(error)\n"
        "print(tracemalloc.get_traced_memory()[1])\n"
    )
    path = tmp_path / "out.csv"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True,
    )  # fmt: skip
    error, peak = done.stdout.splitlines()
    assert "cannot be written: File too large" in error
    assert int(peak) < 2_000_000
    data = path.read_bytes()
    rows = data.splitlines()
    assert data.endswith(b"\n") and 30_000_000 - 2 * len(rows[1]) < len(data) <= 30_000_000
    assert len({row for row in rows[1:]}) == 1, "every row is whole"


@pytest.mark.parametrize("name", VIDEOS)
def test_a_video_that_cannot_be_set_up_leaves_neither_a_file_nor_an_open_one(
    tmp_path, name, monkeypatch
):
    def fail(self, context, fps):
        raise ValueError("no such encoder")

    monkeypatch.setattr(VideoSink, "_set_up", fail)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    with pytest.raises(ValueError, match="no such encoder") as caught:
        SINKS[name](tmp_path / name)
    assert not (tmp_path / name).exists()
    if before:  # while the error is still looked at, and so the sink still there
        assert caught.tb is not None and len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a thing of Linux")
def test_records_that_cannot_begin_are_closed():
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SinkError) as caught:
        CsvSink("/dev/full")
    assert caught.tb is not None and len(os.listdir("/proc/self/fd")) == before


def test_jsonl_is_the_documented_format(tmp_path):
    face = make_face(center=(80.123456, 60), pose=(-12.34567, 4.0, 1.21), track_id=0)
    with JsonlSink(tmp_path / "out.jsonl") as sink:
        sink.write(FRAME, [face])
        sink.write(Frame(FRAME.image, 13, 0.52), [])
        lines = (tmp_path / "out.jsonl").read_text().splitlines()  # before it is closed
    first, second = map(json.loads, lines)
    assert second == {"frame": 13, "time": 0.52, "faces": []}
    assert list(first) == ["frame", "time", "faces"]
    assert (first["frame"], first["time"]) == (12, 0.48)
    (got,) = first["faces"]
    assert list(got) == ["id", "box", "score", "landmarks", "expression", "pose"]
    assert got["id"] == 0 and got["score"] == 0.9988
    assert got["box"] == [60.12, 35.0, 100.12, 85.0]
    assert got["landmarks"] == [[round(float(v), 2) for v in point] for point in face.landmarks]
    assert got["expression"]["label"] == "happiness"
    assert list(got["expression"]["probabilities"]) == list(EXPRESSIONS)
    assert sum(got["expression"]["probabilities"].values()) == pytest.approx(1, abs=5e-4)
    assert got["pose"] == {"yaw": -12.3, "pitch": 4.0, "roll": 1.2}


def test_a_held_label_stands_beside_its_own_probability(tmp_path):
    """In both formats the probability of a label is found under its name."""
    expression = np.array([0.40, 0.46, 0.14, 0, 0, 0, 0, 0], np.float32)
    face = replace(make_face(), expression=expression, held_label="neutral")
    with CsvSink(tmp_path / "out.csv") as rows, JsonlSink(tmp_path / "out.jsonl") as lines:
        for sink in (rows, lines):
            sink.write(FRAME, [face])
    (record,) = json.loads((tmp_path / "out.jsonl").read_text())["faces"]
    assert record["expression"]["label"] == "neutral"
    assert record["expression"]["probabilities"]["neutral"] == 0.4
    with open(tmp_path / "out.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["label"] == "neutral" and float(row[row["label"]]) == 0.4


def bare_face():
    whole = make_face()
    return type(whole)(whole.box, whole.score, whole.landmarks)


def test_jsonl_of_a_face_not_yet_tracked_or_recognised(tmp_path):
    with JsonlSink(tmp_path / "out.jsonl") as sink:
        sink.write(FRAME, [bare_face()])
    (face,) = json.loads((tmp_path / "out.jsonl").read_text())["faces"]
    assert face["id"] is face["expression"] is face["pose"] is None


def test_csv_holds_the_same_numbers(tmp_path):
    faces = [make_face(track_id=3, pose=(10, -5, 2)), bare_face()]
    with CsvSink(tmp_path / "out.csv") as rows, JsonlSink(tmp_path / "out.jsonl") as lines:
        for sink in (rows, lines):
            sink.write(FRAME, faces)
            sink.write(FRAME, [])
    with open(tmp_path / "out.csv", newline="") as file:
        first, second = csv.DictReader(file)
    record = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])["faces"][0]
    assert (first["frame"], first["time"], first["id"]) == ("12", "0.48", "3")
    assert [float(first[k]) for k in ("x1", "y1", "x2", "y2")] == record["box"]
    assert float(first["score"]) == record["score"]
    assert [float(first["nose_x"]), float(first["nose_y"])] == record["landmarks"][2]
    assert float(first["right_mouth_corner_y"]) == record["landmarks"][4][1]
    assert first["label"] == "happiness"
    for name in EXPRESSIONS:
        assert float(first[name]) == record["expression"]["probabilities"][name]
    assert {k: float(first[k]) for k in ("yaw", "pitch", "roll")} == record["pose"]
    assert second["id"] == second["label"] == second["happiness"] == second["yaw"] == ""
