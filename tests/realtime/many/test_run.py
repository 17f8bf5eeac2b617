"""A whole run: one file a video, what is there is left, what is broken is listed."""

import json
import os
import shutil

import pytest

from engine.contract import EngineError
from realtime.__main__ import main
from realtime.many.job import Reading
from realtime.many.run import read_videos
from realtime.many.table import SCHEMA, read_table
from tests.realtime.many.corpora import BROKEN, about, failures, files


def test_a_file_for_each_video_and_a_line_for_each_that_is_broken(undisturbed):
    output, report = undisturbed
    readable = {"face.mp4", "again.MP4", "scenery.webm", "broken/cut.mp4"}
    assert files(output).keys() == {f"{name}.parquet" for name in readable} | {"failed.jsonl"}
    assert (report.videos, report.read, report.known, report.failed) == (6, 4, 0, 3)
    failed = failures(output)
    assert list(failed) == list(BROKEN)
    assert "breaks off" in failed["broken/cut.mp4"]["problem"]
    assert [line["kept"] for line in failed.values()] == [True, False, False]


def test_the_rows_are_those_of_the_records(undisturbed, corpus, tmp_path):
    records = tmp_path / "records.jsonl"
    source = str(corpus / "face.mp4")
    assert main(["--source", source, "--no-display", "--jsonl", str(records)]) == 0
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    expected = [(line["frame"], line["time"], face) for line in lines for face in line["faces"]]

    table = read_table(undisturbed[0] / "face.mp4.parquet")

    assert table.schema.equals(SCHEMA) and len(expected) > 20
    for row, (frame, time, face) in zip(table.to_pylist(), expected, strict=True):
        assert (row["video"], row["frame"], row["time"]) == ("face.mp4", frame, time)
        assert (row["face"], row["label"]) == (face["id"], face["expression"]["label"])
        assert row["box"] == pytest.approx(face["box"], abs=0.02)
        assert row["landmarks"][2] == pytest.approx(face["landmarks"][2], abs=0.02)
        for name, probability in face["expression"]["probabilities"].items():
            assert row[f"expression.{name}"] == pytest.approx(probability, abs=2e-4)
        for angle, degrees in face["pose"].items():
            assert row[f"pose.{angle}"] == pytest.approx(degrees, abs=0.11)


def test_a_file_says_what_made_it(undisturbed):
    told = about(undisturbed[0] / "face.mp4.parquet")
    assert len(told["model"]["sha256"]) == 64 and told["options"]["min_face"] == 40
    assert (told["frames"], told["seconds"], told["problem"]) == (25, 1.0, None)
    assert "1 thread" in told["engine"] and told["version"]
    scenery = undisturbed[0] / "scenery.webm.parquet"
    assert (len(read_table(scenery)), about(scenery)["frames"]) == (0, 20)
    assert "breaks off" in about(undisturbed[0] / "broken/cut.mp4.parquet")["problem"]


def test_what_is_there_is_left_and_what_is_not_is_read(undisturbed, corpus, tmp_path):
    output = shutil.copytree(undisturbed[0], tmp_path / "faces")
    expected = files(output)
    (output / "again.MP4.parquet").unlink()
    whole = expected["face.mp4.parquet"]
    (output / "face.mp4.parquet").write_bytes(whole[: len(whole) // 2])
    (output / ".face.mp4.parquet.123.tmp").write_bytes(whole[:100])
    stamp = os.stat(output / "scenery.webm.parquet").st_mtime_ns

    report = read_videos([corpus], output, workers=1, quiet=True)

    assert (report.read, report.known, report.failed) == (2, 2, 3)
    assert files(output) == expected
    assert os.stat(output / "scenery.webm.parquet").st_mtime_ns == stamp


def test_other_options_and_a_changed_video_are_read_again(short_clip, tmp_path):
    source = tmp_path / "a.mp4"
    shutil.copy(short_clip, source)
    output = tmp_path / "faces"

    def read(**options) -> int:
        reading = Reading(**options)
        return read_videos([source], output, reading=reading, workers=1, quiet=True).read

    assert [read(), read(), read(min_face=60), read(min_face=60)] == [1, 0, 1, 0]
    os.utime(source, (1, 1))
    assert [read(min_face=60), read(min_face=60)] == [1, 0]


def test_a_video_that_is_broken_now_loses_the_file_it_had(short_clip, tmp_path):
    source, output = tmp_path / "a.mp4", tmp_path / "faces"
    shutil.copy(short_clip, source)
    assert read_videos([source], output, workers=1, quiet=True).read == 1
    source.write_text("This is no video any more.")
    assert read_videos([source], output, workers=1, quiet=True).failed == 1
    assert files(output).keys() == {"failed.jsonl"}


def test_the_command(undisturbed, corpus, tmp_path, capsys):
    output = shutil.copytree(undisturbed[0], tmp_path / "faces")
    assert main(["videos", str(corpus), "--output", str(output), "--workers", "1"]) == 1
    assert "6 videos: 0 read, 4 were there." in capsys.readouterr().out
    assert main(["videos", str(corpus / "nothing"), "--output", str(output)]) == 1
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"workers": 0}, "give 1 or more"),
        ({"reading": Reading(model="nothing")}, "no model nothing"),
        ({"reading": Reading(part=0.0)}, "more than 0"),
        ({"reading": Reading(min_face=5)}, "too small"),
        ({"reading": Reading(device="cuda", backend="onnxruntime")}, "CUDA"),
    ],
)
def test_what_cannot_work_ends_with_a_sentence(corpus, tmp_path, options, words):
    with pytest.raises(EngineError, match=words):
        read_videos([corpus], tmp_path / "faces", quiet=True, **({"workers": 1} | options))
