import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine import registry
from engine.__main__ import main
from engine.backends.tensorrt import command, distributions, plans
from engine.backends.tensorrt.device_memory import NoDriver
from tests.engine.backends.tensorrt.fake_tensorrt import (
    HALF_LAYER,
    INT8_LAYER,
    FakeGpu,
    FakeMemory,
    make_distribution,
)

ROOT = Path(__file__).resolve().parents[4]

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def without_gpu(monkeypatch):
    pytest.importorskip("tensorrt_rtx", reason="needs the tensorrt-rtx extra")

    def fail():
        raise NoDriver

    monkeypatch.setattr(command, "open_device_memory", fail)


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs ``python -m engine build`` with arguments: exit code, stdout, stderr."""

    def run_main(*arguments):
        monkeypatch.setattr(sys, "argv", ["engine", "build", *map(str, arguments)])
        return main(), *capsys.readouterr()

    return run_main


def test_says_what_was_built_and_what_for(run, without_gpu, cache):
    code, out, err = run("--model", "mtcnn_rnet")
    assert (code, err) == (0, "")
    (path,) = cache.glob("*.plan")
    version = distributions.find(portable_only=True).version
    assert f"mtcnn_rnet.onnx ({registry.entries()['mtcnn_rnet'].sha256[:12]})" in out
    assert f"TensorRT-RTX {version}" in out
    assert "fp16; convolutions and matrix products: 5 fp16" in out
    assert "any RTX GPU, compute capability 8.0, 8.6, 8.9, 12.0 and newer" in out
    assert "images 1×24×24×3 to 32×24×24×3" in out
    assert " MiB, built in " in out and f"plan      {path}\n" in out
    code, out, err = run("--model", "mtcnn_rnet")
    assert (code, err) == (0, "") and " MiB, built before in " in out


def test_builds_every_network_where_none_is_named(run, without_gpu, cache):
    for built in ("built", "built before"):
        code, out, err = run()
        assert (code, err) == (0, "")
        for name in ("ipd_fer", "mtcnn_pnet", "mtcnn_rnet", "mtcnn_onet"):
            assert f"{name}.onnx ({registry.entries()[name].sha256[:12]})" in out
        assert out.count(f" MiB, {built} in ") == 4
        assert len(list(cache.glob("fp16-*.plan"))) == 4


def test_builds_the_int8_flavours_that_there_are(run, monkeypatch, models_folder, int8_files):
    gpu = FakeGpu()
    gpu.layers = [INT8_LAYER]
    monkeypatch.setattr(command, "open_device_memory", lambda: FakeMemory(gpu))
    monkeypatch.setattr(distributions, "find", lambda portable_only: make_distribution(gpu))
    for name in ("face.onnx", "face.trt-int8.onnx"):
        shutil.copy(int8_files / name, models_folder)
        about = {"made_by": "the tests", "source": "the tests", "licence": "MIT"}
        registry.register(models_folder / name, **about)
    code, out, err = run("--precision", "int8")
    assert (code, err) == (0, "")
    assert "face.trt-int8.onnx" in out and out.count("precision int8") == out.count("takes") == 1


def test_builds_for_the_gpu_at_hand(run, monkeypatch, models_folder):
    gpu = FakeGpu()
    gpu.layers = [HALF_LAYER]
    monkeypatch.setattr(command, "open_device_memory", lambda: FakeMemory(gpu))
    monkeypatch.setattr(distributions, "find", lambda portable_only: make_distribution(gpu))
    code, out, err = run("--model", "doubling")
    assert (code, err) == (0, "")
    assert "made for  Fake GPU, compute capability 8.9" in out
    assert gpu.alive == [] and len(gpu.threads) == 1


def test_copies_the_plan(run, without_gpu, cache, tmp_path):
    copy = tmp_path / "rnet.plan"
    code, out, _ = run("--model", "mtcnn_rnet", "--output", copy)
    assert code == 0 and f"copied to {copy}" in out
    (path,) = cache.glob("*.plan")
    assert copy.read_bytes() == path.read_bytes()
    known = json.loads((tmp_path / "rnet.plan.json").read_text())
    assert known["key"]["precision"] == "fp16" and known["key"]["gpu"] == "any RTX GPU"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nothing"], "There is no model nothing"),
        (["--model", "mtcnn_rnet", "--precision", "bf16"], "fp32, fp16, int8, not in bf16"),
        (["--model", "mtcnn_rnet", "--precision", "int8"], "quantize"),
        (["--model", "mtcnn_rnet", "--output", "pyproject.toml/x.plan"], "cannot be written"),
        (["--output", "x.plan"], "--output takes the plan of one model: name it with --model"),
        (["--precision", "int8"], "No shipped network has an INT8 flavour for TensorRT: make"),
    ],
)
def test_one_line_and_exit_code_1(run, without_gpu, arguments, message):
    code, _, err = run(*arguments)
    assert code == 1
    assert message in err and err.count("\n") == 1


def test_a_cache_that_cannot_be_written_is_said(run, without_gpu, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv(plans.FOLDER_VARIABLE, str(tmp_path / "file" / "cache"))
    code, out, _ = run("--model", "mtcnn_rnet")
    assert code == 0
    assert "plan      not kept" in out and "The plan is not kept" in caplog.text


def test_two_commands_at_once_build_once(cache):
    pytest.importorskip("tensorrt_rtx", reason="needs the tensorrt-rtx extra")
    command = [sys.executable, "-m", "engine", "build", "--model", "mtcnn_onet"]
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    texts = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(" built in " in text for text in texts) == 1
    assert sum(" built before in " in text for text in texts) == 1
    assert len(list(cache.glob("*.plan"))) == 1
