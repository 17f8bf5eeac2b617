import json

import pytest

from realtime.__main__ import main
from tests.realtime.support import paths

CLIP = str(paths.CLIP)
QUICK = ["bench", "--source", CLIP, "--frames", "2", "--repeats", "1"]


def test_every_stage_is_measured(tmp_path, capsys):
    out = tmp_path / "bench.json"
    assert main([*QUICK, "--json", str(out)]) == 0

    measured = json.loads(out.read_text())
    stages = {"wait", "detect", "refine", "search", "track", "align", "recognise", "smooth"}
    assert set(measured["stages"]) <= stages and "recognise" in measured["stages"]
    assert measured["faces_per_frame"] == 1 and measured["size"] == [640, 480]
    whole = measured["frame"]["median_ms"]
    assert 0 < measured["stages"]["recognise"]["median_ms"] < whole
    for way in ("one_by_one", "overlapped"):
        assert measured[way]["median_ms"] > 0 and measured["decode"]["median_ms"] > 0
    assert measured["memory_mb"] > 50
    assert "whole frame" in capsys.readouterr().out


def test_a_crowd_of_copies_is_measured(tmp_path):
    out = tmp_path / "bench.json"
    assert main([*QUICK, "--faces", "5", "--json", str(out)]) == 0
    assert json.loads(out.read_text())["faces_per_frame"] == 5


@pytest.mark.slow
def test_the_reference_runs_on_the_same_frames(tmp_path):
    pytest.importorskip("torch", reason="the reference needs the train extra")
    out = tmp_path / "bench.json"
    assert main([*QUICK, "--reference", "--json", str(out)]) == 0

    measured = json.loads(out.read_text())
    assert measured["reference"]["faces_per_frame"] == 1
    assert measured["reference"]["median_ms"] > 0
    ratio = measured["reference"]["median_ms"] / measured["frame"]["median_ms"]
    assert measured["speedup"] == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("extra", "code", "words"),
    [
        (["--json", "/nowhere/at/all/bench.json"], 1, "/nowhere/at/all"),
        (["--model", "nothing.onnx"], 1, "nothing.onnx"),
        (["--frames", "0"], 1, "1 or more"),
        (["--repeats", "0"], 1, "1 or more"),
        (["--min-face", "3"], 2, "12 or more"),
        (["--faces", "4", "--min-face", "470"], 1, "No face was found"),
    ],
)
def test_bad_input_is_one_clear_line(extra, code, words, capsys):
    assert main([*QUICK, *extra]) == code
    error = capsys.readouterr().err.strip()
    assert words in error and "\n" not in error
