import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from realtime.faces import EXPRESSIONS
from realtime.output.files import SinkError
from realtime.output.records import CsvSink, JsonlSink
from realtime.sources.frame import Frame
from tests.realtime.support.media import make_face
from tests.realtime.support.paths import ROOT

FRAME = Frame(np.zeros((120, 160, 3), np.uint8), 12, 0.4800001)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a thing of Linux")
def test_line_to_a_full_disk():
    with JsonlSink("/dev/full") as sink, pytest.raises(SinkError, match="No space left"):
        sink.write(FRAME, [])
    with pytest.raises(SinkError, match="No space left"):
        CsvSink("/dev/full")


def test_half_a_line_is_taken_back(tmp_path):
    program = (
        "import resource, sys\n"
        "from realtime.output.files import SinkError\n"
        "from realtime.output.records import JsonlSink\n"
        "from tests.realtime.output.test_records import FRAME, make_face\n"
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
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert "cannot be written: File too large" in done.stdout
    text = path.read_text()
    assert text.endswith("\n") and text.count("\n") >= 2
    assert all(json.loads(line)["frame"] == 12 for line in text.splitlines())


def test_half_a_line_of_a_large_file_is_taken_back_without_reading_it(tmp_path):
    """The file has 30 MB when it gets full; taking back its last line takes next to nothing."""
    program = (
        "import resource, sys, tracemalloc\n"
        "from realtime.output.files import SinkError\n"
        "from realtime.output.records import CsvSink\n"
        "from tests.realtime.output.test_records import FRAME, make_face\n"
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
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    error, peak = done.stdout.splitlines()
    assert "cannot be written: File too large" in error
    assert int(peak) < 2_000_000
    data = path.read_bytes()
    rows = data.splitlines()
    assert data.endswith(b"\n") and 30_000_000 - 2 * len(rows[1]) < len(data) <= 30_000_000
    assert len(set(rows[1:])) == 1, "every row is whole"


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


def read_face(track_id=1, **options):
    """A face that was read against a reference of its rest."""
    face = make_face(track_id=track_id, **options)
    raw = np.array([0.7, 0.2, 0.1, 0, 0, 0, 0, 0], np.float32)
    intensity = np.array([0.75, 0.25, 0, 0, 0, 0, 0, 0], np.float32)
    return replace(face, raw=raw, intensity=intensity, reference="me.json")


def test_a_face_read_against_its_rest_carries_both(tmp_path):
    with JsonlSink(tmp_path / "out.jsonl") as sink:
        sink.write(FRAME, [read_face(), make_face(track_id=2)])
    read, plain = json.loads((tmp_path / "out.jsonl").read_text())["faces"]
    assert list(read) == [*plain, "raw", "intensity", "reference"]
    assert read["expression"] == plain["expression"], "as it is shown"
    assert (read["raw"]["neutral"], read["raw"]["happiness"]) == (0.7, 0.2)
    assert list(read["raw"]) == list(read["intensity"]) == list(EXPRESSIONS)
    assert read["intensity"]["happiness"] == 0.25 and read["reference"] == "me.json"


@pytest.mark.parametrize("expected", [True, False])
def test_csv_gets_the_further_columns_from_the_start_or_when_they_come(tmp_path, expected):
    path = tmp_path / "out.csv"
    with CsvSink(path, expected) as sink:
        sink.write(FRAME, [make_face()])
        sink.write(FRAME, [read_face(), make_face(track_id=2)])
        sink.write(FRAME, [read_face()])
    text = path.read_text()
    assert text.endswith("\n") and len({line.count(",") for line in text.splitlines()}) == 1
    with path.open(newline="") as file:
        before, read, plain, after = csv.DictReader(file)
    assert list(before) == [*CsvSink.COLUMNS, *CsvSink.REFERENCE_COLUMNS]
    assert before["label"] == read["label"] == "happiness"
    assert before["reference"] == plain["raw_neutral"] == plain["reference"] == ""
    assert read == after and read["reference"] == "me.json"
    assert (read["raw_happiness"], read["intensity_neutral"]) == ("0.2", "0.75")


def test_csv_without_a_reference_is_as_before(tmp_path):
    with CsvSink(tmp_path / "out.csv") as sink:
        sink.write(FRAME, [make_face()])
    header, row = (tmp_path / "out.csv").read_text().splitlines()
    assert header == ",".join(CsvSink.COLUMNS) and row.count(",") == header.count(",")


def test_csv_into_a_pipe_stays_as_it_began():
    program = (
        "from realtime.output.records import CsvSink\n"
        "from tests.realtime.output.test_records import FRAME, make_face, read_face\n"
        "with CsvSink('/dev/stdout') as sink:\n"
        "    sink.write(FRAME, [make_face()])\n"
        "    sink.write(FRAME, [read_face()])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert len({line.count(",") for line in done.stdout.splitlines()}) == 1


def test_names_with_a_line_break_stay_in_their_row(tmp_path):
    with CsvSink(tmp_path / "out.csv") as sink:
        sink.write(FRAME, [make_face()])
        sink.write(FRAME, [replace(read_face(), reference="me,\n.json")])
    with (tmp_path / "out.csv").open(newline="") as file:
        assert [row["reference"] for row in csv.DictReader(file)] == ["", "me,\n.json"]
