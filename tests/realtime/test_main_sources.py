"""What --source takes, how much of it is looked at, and what the command says of habits."""

import json
import logging
import os
import subprocess
import sys

import av
import cv2
import numpy as np
import pytest

from realtime.__main__ import main
from tests.realtime.support.media import cut, scene, write_video
from tests.realtime.support.paths import CLIP, ROOT

SMALL = ["--no-display", "--min-face", "100", "--backend", "onnxruntime", "--device", "cpu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three short videos and a picture, in a folder and one below."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "deep").mkdir()
    for name, count in (("2.mp4", 4), ("10.mp4", 5), ("deep/a.mp4", 6)):
        write_video(folder / name, [scene(index) for index in range(count)])
    cv2.imwrite(str(folder / "picture.png"), scene(0))
    return folder


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def run(tmp_path, *options):
    out = tmp_path / "out.jsonl"
    assert main([*SMALL, "--jsonl", str(out), *map(str, options)]) == 0
    return lines(out)


def test_a_folder_is_read_to_its_depth_and_the_records_say_which_is_which(folder, tmp_path, capsys):
    found = run(
        *(tmp_path, "--source", folder, "--csv", tmp_path / "o.csv"),
        *("--output", tmp_path / "o.mp4"),
    )
    names = [os.path.relpath(line["source"], folder) for line in found]
    assert names == ["."] + ["2.mp4"] * 4 + ["10.mp4"] * 5 + ["deep/a.mp4"] * 6
    assert [line["frame"] for line in found] == [0, *range(4), *range(5), *range(6)]
    assert list(found[0]) == ["source", "frame", "time", "faces"]
    assert (tmp_path / "o.csv").read_text().startswith("source,frame,time,id,")
    with av.open(str(tmp_path / "o.mp4")) as video:
        times = [frame.time for frame in video.decode(video=0)]
    assert len(times) == 16 and np.all(np.diff(times) > 0.03), "one after the other"
    printed = capsys.readouterr().out
    assert printed.count("Source   ") == 4 and printed.count("Engine   ") == 4


def test_one_source_is_recorded_as_ever(folder, tmp_path):
    found = run(tmp_path, "--source", folder / "2.mp4", "--csv", tmp_path / "o.csv")
    assert list(found[0]) == ["frame", "time", "faces"]
    assert (tmp_path / "o.csv").read_text().startswith("frame,time,id,")


def test_patterns_and_several_files(folder, tmp_path):
    found = run(tmp_path, "--source", f"{folder}/*.mp4", folder / "deep/a.mp4")
    assert len(found) == 15


def test_a_part_of_each(folder, tmp_path):
    part = ("--start", "0.04", "--end", "0.17", "--every", "2")
    found = run(tmp_path, "--source", f"{folder}/*.mp4", *part)
    assert [line["frame"] for line in found] == [1, 3, 1, 3]


def test_a_broken_one_among_several_is_told_after_the_others_were_read(folder, tmp_path, capsys):
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    out = tmp_path / "out.jsonl"
    arguments = ["--source", str(text), str(folder / "2.mp4"), "--jsonl", str(out)]
    assert main([*SMALL, *arguments]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "text.mp4 is neither a video nor a picture" in error
    assert len(lines(out)) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are another thing there")
@pytest.mark.parametrize("whole", [True, False])
def test_a_video_on_standard_input(folder, tmp_path, whole):
    moving = write_video(tmp_path / "clip.mkv", [scene(index, 320, 240) for index in range(20)])
    out = tmp_path / "out.jsonl"
    with (moving if whole else cut(moving, 0.001)).open("rb") as video:
        done = subprocess.run(
            [sys.executable, "-m", "realtime", "--source", "-", *SMALL, "--jsonl", str(out)],
            cwd=ROOT, stdin=video, capture_output=True, text=True,
        )  # fmt: skip
    if whole:
        assert done.returncode == 0, done.stderr
        assert [line["frame"] for line in lines(out)] == list(range(20))
        assert "Standard input, 320×240" in done.stdout
    else:
        assert done.returncode == 1
        assert done.stderr.startswith("Standard input") and done.stderr.count("\n") == 1


def test_a_keyboard_is_no_video(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert main([*SMALL, "--source", "-", "--jsonl", str(tmp_path / "o")]) == 1
    assert "which is a keyboard here: pipe one in" in capsys.readouterr().err


BAD = {
    "no part": (["--start", "3", "--end", "2"], 2, "there is nothing: give a later end"),
    "every 0": (["--every", "0"], 2, "give 1 or more"),
    "a size": (["--camera-size", "large"], 2, "--camera-size large: give it as 1280x720"),
    "no size": (["--camera-size", "0x720"], 2, "give a size as (1280, 720)"),
    "no camera": (["--camera-size", "64x48"], 2, "are asked of a camera: --camera 0"),
    "no rate": (["--camera-fps", "0"], 2, "give a rate as 30"),
    "device": (["--device", "0"], 1, "There is no device 0. Devices: auto, cpu, cuda"),
    "processor": (["--device", "cuda:1", "--backend", "openvino"], 1, "does not run on cuda:1"),
    "no such GPU": (["--device", "cuda:7", "--backend", "onnxruntime"], 1, "CUDA was asked for"),
    "--conf": (["--conf", "0.5"], 2, "There is no option --conf. The face detector"),
    "--vid_stride": (["--vid_stride=3"], 2, "There is no option --vid_stride. Say --every"),
    "source=": (["source=a.mp4"], 2, "Options begin with two dashes: --source a.mp4."),
    "an output": (["--output", str(CLIP)], 2, "is given twice"),
}


def test_what_others_take_first_works_or_says_why_not(tmp_path, capsys, subtests):
    for name, (options, code, words) in BAD.items():
        with subtests.test(name):
            base = ["--source", str(CLIP), "--no-display", "--jsonl", str(tmp_path / "o.jsonl")]
            assert main([*base, *options]) == code
            error = capsys.readouterr().err
            assert words in error and error.count("\n") == 1


def test_an_output_among_the_files_of_a_folder_is_not_written_over(folder, tmp_path, capsys):
    video = folder / "10.mp4"
    before = video.read_bytes()
    assert main([*SMALL, "--source", str(folder), "--output", str(video)]) == 2
    assert "given twice" in capsys.readouterr().err and video.read_bytes() == before


def test_the_log_goes_to_the_console_from_the_level_that_is_asked_for(folder, tmp_path, capsys):
    run(tmp_path, "--source", folder / "2.mp4", "--log-level", "info")
    said = capsys.readouterr().err
    assert "2.mp4: 160×120 pixels, 25 frames/s" in said and "mtcnn_onet: ONNX Runtime" in said
    run(tmp_path, "--source", folder / "2.mp4")
    assert capsys.readouterr().err == ""
    assert not logging.getLogger("realtime").handlers, "nothing is left behind"
