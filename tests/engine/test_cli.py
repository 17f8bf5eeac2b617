import csv
import json
import sys

import onnx
import pytest

from engine.__main__ import main
from engine.measure import check
from tests.engine.face_models import LABELS, face_model, random_faces, write_prepared


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs ``python -m engine`` with arguments: exit code, stdout, stderr."""

    def run_main(*arguments):
        monkeypatch.setattr(sys, "argv", ["engine", *map(str, arguments)])
        try:
            code = main()
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run_main


def test_info_shows_what_a_user_needs(run, models_folder):
    code, out, err = run("info")
    assert (code, err) == (0, "")
    for text in ("doubling.onnx", "values float32 batch×3", "doubled", "a, b, c", "the tests"):
        assert text in out


def test_info_of_the_shipped_models(run):
    code, out, err = run("info")
    assert (code, err) == (0, "")
    assert "mtcnn_pnet" in out and "images float32 batch×24×24×3" in out


def test_info_reports_a_changed_file(run, models_folder):
    with (models_folder / "doubling.onnx").open("ab") as file:
        file.write(b"!")
    code, out, err = run("info")
    assert code == 1
    assert "doubling" in out
    assert err.count("\n") == 1 and "does not match" in err


def test_bench_writes_what_it_prints(run, models_folder, tmp_path):
    report, rows = tmp_path / "bench.json", tmp_path / "bench.csv"
    options = ("--device", "cpu", "--precision", "fp32", "--repeats", 5)
    code, out, err = run("bench", "--model", "doubling", *options, "--json", report, "--csv", rows)
    assert (code, err) == (0, "")
    written = json.loads(report.read_text())
    assert written["model"] == "doubling.onnx" and written["repeats"] == 5
    assert "CPUExecutionProvider" in written["ways"]["ONNX Runtime fp32"]
    timings = [one for one in written["timings"] if one["way"] == "ONNX Runtime fp32"]
    assert [timing["batch"] for timing in timings] == [1, 2, 4, 8, 16, 32]
    for timing in timings:
        assert 0 < timing["median_ms"] <= timing["p95_ms"]
        assert f"{timing['median_ms']:.2f}" in out
    with rows.open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [float(row["p95_ms"]) for row in read] == [one["p95_ms"] for one in written["timings"]]
    assert list(tmp_path.glob(".bench*")) == []


def test_bench_runs_every_way_and_names_what_it_leaves_out(run, int8_model, only_onnx_runtime):
    code, out, _ = run("bench", "--model", int8_model, "--repeats", 1)
    assert code == 0
    for way in ("ONNX Runtime fp32", "ONNX Runtime int8"):
        assert out.count(f"\n{way} ") == 6
    assert "left out: TensorRT fp32, TensorRT fp16, TensorRT int8: " in out
    assert 'OpenVINO is not installed: install it with `pip install ".[openvino]"`' in out


def test_bench_draws(run, models_folder, tmp_path):
    pytest.importorskip("matplotlib")
    plot = tmp_path / "bench.png"
    code, _, err = run("bench", "--model", "doubling", "--repeats", 1, "--plot", plot)
    assert (code, err) == (0, "")
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_bench_without_matplotlib_keeps_the_numbers(run, models_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    numbers = tmp_path / "bench.csv"
    files = ("--csv", numbers, "--plot", tmp_path / "bench.png")
    code, out, err = run("bench", "--model", "doubling", "--repeats", 1, *files)
    assert code == 1 and "No plot without matplotlib: `pip install matplotlib`" in err
    assert numbers.is_file() and "median ms" in out


def test_bench_of_a_model_with_free_image_size(run):
    code, out, _ = run("bench", "--model", "mtcnn_pnet", "--repeats", 1, "--device", "cpu")
    assert code == 0
    assert "mtcnn_pnet.onnx" in out and "median ms" in out


def test_check_tells_by_its_exit_code(run, int8_files, tmp_path, monkeypatch):
    write_prepared(tmp_path / "prepared", random_faces(1000, channels=1))
    options = ("--faces", tmp_path / "prepared", "--backend", "onnxruntime", "--device", "cpu")
    command = ("check", "--model", int8_files / "face.onnx", *options, "--precision")
    report = tmp_path / "check.json"
    code, out, err = run(*command, "fp32", "--json", report)
    assert (code, err) == (0, "")
    assert "100.00%" in out and json.loads(report.read_text())["kept"] is True
    monkeypatch.setitem(check.PROMISES, "int8", check.Promise(probability=0.0))
    code, out, _ = run(*command, "int8")
    assert code == 1 and "broken: a probability is off by" in out


def test_quantize_writes_the_file_and_its_entry(run, tmp_path):
    onnx.save(face_model(), tmp_path / "face.onnx")
    write_prepared(tmp_path / "prepared", random_faces(16), splits=["train"] * 16)
    command = ("quantize", "--model", tmp_path / "face.onnx", "--faces", tmp_path / "prepared")
    code, out, err = run(*command)
    assert (code, err) == (0, "") and "Written: face.int8.onnx" in out
    assert run(*command, "--flavour", "tensorrt")[0] == 0
    listed = json.loads((tmp_path / "models.json").read_text())
    assert list(listed) == ["face.int8", "face.trt-int8"]


def test_quantize_without_its_package(run, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "engine.quantize", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, _, err = run("quantize", "--faces", tmp_path)
    assert code == 1
    assert err == 'Quantising needs the package onnx: `pip install ".[quantize]"`.\n'


def test_register(run, tmp_path):
    onnx.save(face_model(), tmp_path / "face.onnx")
    facts = ("--made-by", "a command", "--source=-here-", "--licence", "MIT")
    assert run("register", tmp_path / "face.onnx", *facts) == (0, "", "")
    entry = json.loads((tmp_path / "models.json").read_text())["face"]
    assert (entry["source"], entry["labels"]) == ("-here-", list(LABELS))
    assert run("register", tmp_path / "face.onnx", *facts, "--labels", '["x"]')[0] == 0
    assert json.loads((tmp_path / "models.json").read_text())["face"]["labels"] == ["x"]
    code, _, err = run("register", tmp_path / "face.onnx", *facts, "--labels", "[x")
    assert code == 1 and "--labels is no JSON list" in err
    code, _, err = run("register", tmp_path / "missing.onnx", *facts)
    assert code == 1 and "missing.onnx cannot be read" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nothing"], "There is no model nothing"),
        (["--model", "doubling", "--repeats", 0], "use 1 or more"),
        (["--model", "doubling", "--json", "no_such_folder/bench.json"], "does not exist"),
        (["--model", "doubling", "--csv", "."], ". is a folder: give a file name"),
        (["--model", "doubling", "--backend", "magic"], "no backend magic"),
        (["--model", "doubling", "--precision", "int8"], "doubling.int8.onnx, the INT8 flavour"),
    ],
)
def test_one_line_and_exit_code_1(run, models_folder, arguments, message):
    code, out, err = run("bench", *arguments)
    assert (code, out) == (1, "")
    assert message in err and err.count("\n") == 1


def test_an_unknown_option_is_a_usage_error(run):
    code, _, err = run("bench", "--speed", "high")
    assert code == 2
    assert "--speed" in err
