"""Files appear whole or not at all; broken ones are named."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import train.files
from realtime.faces import EXPRESSIONS
from tests.train.conftest import tiny_rows
from train.data.once import computed_once
from train.data.prepared import read_prepared, write_prepared
from train.datasets.join import join_prepared
from train.errors import UserError
from train.evaluation.calibrate import calibrate_run
from train.evaluation.evaluate import evaluate_run
from train.evaluation.robustness import measure_robustness
from train.export.models_json import save_model
from train.files import read_csv, read_json, save_figure, whole, write_csv, write_json, write_text
from train.plots import plot_bars, plot_confusion, plot_log
from train.runs.checkpoint import save_state
from train.runs.folder import RunFolder

CONFUSION = np.eye(3, dtype=int)
ROWS = [{"epoch": 1, "seconds": 1.0, "loss_expression": 0.5, "accuracy": 0.5}]


def identity_model() -> onnx.ModelProto:
    faces, same = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"
    )
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "graph", [faces], [same])
    return onnx.helper.make_model(graph)


WRITERS = {
    "text.md": lambda path: write_text(path, "new"),
    "data.json": lambda path: write_json(path, {"new": 1}),
    "table.csv": lambda path: write_csv(path, ROWS),
    "confusion.png": lambda path: save_figure(plot_confusion(CONFUSION, ("a", "b", "c")), path),
    "curves.png": lambda path: save_figure(plot_log(ROWS), path),
    "bars.png": lambda path: save_figure(plot_bars({"a": np.ones(3)}), path),
    "last.safetensors": lambda path: save_state(path, {"weight": torch.ones(2)}),
    "model.onnx": lambda path: save_model(identity_model(), path, {}),
    "log.csv": lambda path: RunFolder(path.parent).write_log(ROWS),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_write_that_fails_leaves_the_older_file(name, tmp_path, monkeypatch):
    path = tmp_path / name
    path.write_text("older")
    replace = os.replace

    def full(source, target):
        assert Path(source).stat().st_size > 0, "all of it is written before it takes the name"
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(train.files.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        WRITERS[name](path)
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path], "nothing half written stays"
    monkeypatch.setattr(train.files.os, "replace", replace)
    WRITERS[name](path)
    assert path.read_bytes() != b"older"


RESULTS = {
    "evaluation-validation.json": lambda run, data: evaluate_run(run, data, "validation", "cpu"),
    "calibration.json": lambda run, data: calibrate_run(run, data, 1.0, "cpu"),
    "robustness-validation.json": lambda run, data: measure_robustness(
        run, data, "validation", "data", 0, "cpu"
    ),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_of_a_run_are_written_whole(name, tiny_run, data, monkeypatch):
    """Killed while it writes: the disk takes half of the text."""

    (tiny_run / name).unlink(missing_ok=True)
    write = Path.write_text

    def killed(path, text, *how, **more):
        write(path, text[: len(text) // 2], *how, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        RESULTS[name](tiny_run, data)
    assert not (tiny_run / name).exists()


def test_a_killed_process_leaves_the_older_file(tmp_path):
    path = tmp_path / "data.json"
    path.write_text("older")
    code = """
        import os, signal, sys
        from pathlib import Path
        from train.files import whole
        with whole(Path(sys.argv[1])) as part:
            part.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert path.read_text() == "older"


def test_prepared_data_are_replaced_together(tmp_path):
    """The second writing breaks off; the first is still there, whole."""

    def broken():
        yield from tiny_rows(3)
        raise KeyboardInterrupt

    write_prepared(tmp_path, "first", EXPRESSIONS, "none", tiny_rows(4), 4, channels=1)
    with pytest.raises(KeyboardInterrupt):
        write_prepared(tmp_path, "second", EXPRESSIONS, "none", broken(), 8, channels=1)
    assert len(read_prepared(tmp_path)) == 4
    assert json.loads((tmp_path / "prepared.json").read_text())["dataset"] == "first"
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"faces.npy", "labels.csv", "prepared.json"}


def test_faces_of_one_writing_never_meet_labels_of_another(tmp_path, monkeypatch):
    """Stopped between the files: as many faces as before, so that only prepared.json can tell."""
    write_prepared(tmp_path, "first", EXPRESSIONS, "none", tiny_rows(4), 4, channels=1)
    replace = os.replace

    def once(source, target):
        if Path(target).name == "labels.csv":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(train.files.os, "replace", once)
    with pytest.raises(KeyboardInterrupt):
        write_prepared(tmp_path, "second", EXPRESSIONS, "none", tiny_rows(4, seed=1), 4, channels=1)
    with pytest.raises(UserError, match="has no prepared.json: make it with"):
        read_prepared(tmp_path)


def test_joined_data_are_written_whole(tiny_data, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(train.files.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        join_prepared([tiny_data, tiny_data], tmp_path / "joined")
    assert not list((tmp_path / "joined").iterdir())


def test_a_cache_that_is_cut_off_is_made_again(tiny_copy):
    data, path = read_prepared(tiny_copy), tiny_copy / "teacher-1.npy"

    def ones(faces):
        return torch.ones(len(faces), 2)

    computed_once(path, data, 2, ones, torch.device("cpu"))
    path.write_bytes(path.read_bytes()[:200])
    again = computed_once(path, data, 2, ones, torch.device("cpu"))
    assert again.shape == (len(data), 2) and (again == 1).all()


def test_an_entry_that_is_missing_is_named(tmp_path):
    write_json(tmp_path / "a.json", {"outer": {"inner": 1}})
    found = read_json(tmp_path / "a.json", "make it again")
    assert found == {"outer": {"inner": 1}}
    with pytest.raises(UserError, match="'speed' is missing where .*a.json"):
        found["outer"]["speed"]


def test_a_row_that_is_too_short_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3\n")
    with pytest.raises(UserError, match="a.csv, line 3: expected 2 columns: mend it"):
        read_csv(tmp_path / "a.csv", ("x",), "mend it")


def test_whole_makes_the_folder(tmp_path):
    with whole(tmp_path / "new" / "file") as part:
        part.write_text("all")
    assert (tmp_path / "new" / "file").read_text() == "all"
