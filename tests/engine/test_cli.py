import json
import sys

import pytest

from engine.__main__ import main


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
    report = tmp_path / "bench.json"
    code, out, err = run("bench", "--model", "doubling", "--json", report, "--repeats", 5)
    assert (code, err) == (0, "")
    written = json.loads(report.read_text())
    assert written["model"] == "doubling.onnx" and written["repeats"] == 5
    assert [timing["batch"] for timing in written["timings"]] == [1, 2, 4, 8, 16]
    for timing in written["timings"]:
        assert 0 < timing["median_ms"] <= timing["p95_ms"]
        assert f"{timing['median_ms']:.2f}" in out
    assert list(tmp_path.glob(".bench*")) == []


def test_bench_of_a_model_with_free_image_size(run):
    code, out, _ = run("bench", "--model", "mtcnn_pnet", "--repeats", 1, "--device", "cpu")
    assert code == 0
    assert "mtcnn_pnet.onnx" in out and "median ms" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nothing"], "There is no model nothing"),
        (["--model", "doubling", "--repeats", 0], "use 1 or more"),
        (["--model", "doubling", "--json", "no_such_folder/bench.json"], "does not exist"),
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
