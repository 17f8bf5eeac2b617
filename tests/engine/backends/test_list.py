"""The list of backends: what stands in it, and that another takes one file and one line."""

import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

import engine
from engine.backends import BACKENDS, INT8_FLAVOURS
from engine.choice import AUTO_ORDER, REFERENCE
from engine.contract import CPU_INT8, PRECISIONS, EngineError
from engine.quantize import quantize
from tests.engine.conftest import doubling_model

NUMPY_BACKEND = """
from engine.contract import MAX_BATCH, BackendInfo, Int8Flavour, Options, Way

INFO = BackendInfo(
    title="NumPy",
    modules=("numpy",),
    install="pip install numpy",
    ways=(Way("cpu", "fp32", 0),),
    converts=("fp32",),
    int8=Int8Flavour("numpy", ".numpy-int8.onnx", "INT8 for NumPy", symmetric=True),
)

def load(model, options):
    return Doubling()

class Doubling:
    precision, description, max_batch, concurrent = "fp32", "NumPy, doubling", MAX_BATCH, True
    def run(self, arrays):
        return {"doubled": 2 * arrays["values"]}
    def close(self):
        pass
"""

USE = """
import sys
import numpy as np
from engine.session import open_session
values = np.ones((2, 3), np.float32)
for backend in ("auto", "numpy_only"):
    with open_session(sys.argv[1], backend=backend) as session:
        assert (session.run({"values": values})["doubled"] == 2).all()
        print(session.description)
"""


@pytest.fixture(scope="module")
def with_another(tmp_path_factory):
    """Runs Python with an engine that has one more backend: a file of its own and a line."""
    folder = tmp_path_factory.mktemp("house")
    without_models = shutil.ignore_patterns("__pycache__", "models")
    shutil.copytree(Path(engine.__file__).parent, folder / "engine", ignore=without_models)
    (folder / "engine" / "models").mkdir()
    inside = folder / "engine" / "backends"
    (inside / "numpy_only.py").write_text(NUMPY_BACKEND)
    door = (inside / "__init__.py").read_text()
    assert door.count("_NAMES = (\n") == 1
    door = door.replace("_NAMES = (\n", '_NAMES = (\n    "numpy_only",\n')
    (inside / "__init__.py").write_text(door)
    onnx.save(doubling_model(), folder / "doubling.onnx")

    def run(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)

    return run


def test_another_backend_is_taken_in_its_rank_and_by_its_name(with_another):
    ended = with_another("-c", USE, "doubling.onnx")
    assert ended.stderr == ""
    auto, named = ended.stdout.splitlines()
    assert auto.startswith("NumPy, doubling (auto; self-check within 0 of fp32")
    assert named == "NumPy, doubling"
    unknown = with_another("-c", USE.replace("auto", "magic"), "doubling.onnx")
    assert f"Backends: auto, numpy_only, {', '.join(BACKENDS)}." in unknown.stderr


def test_another_backend_is_in_the_commands(with_another):
    ended = with_another("-m", "engine", "bench", "--help")
    assert "numpy_only" in ended.stdout
    ended = with_another("-m", "engine", "quantize", "--help")
    assert "{cpu,numpy,tensorrt}" in ended.stdout
    ended = with_another(
        *("-m", "engine", "bench", "--model", "doubling.onnx"),
        *("--backend", "numpy_only", "--precision", "int8"),
    )
    assert "doubling.numpy-int8.onnx, the INT8 flavour of doubling.onnx, is not" in ended.stderr
    assert "--flavour numpy " in ended.stderr


def test_another_backend_is_a_value_of_options(with_another):
    ended = with_another("-c", "from engine.choice import BackendName; print(BackendName)")
    assert all(repr(name) in ended.stdout for name in ("auto", "numpy_only", *BACKENDS))


def test_every_backend_can_be_chosen_by_its_ranks():
    ranks = [way.rank for info in BACKENDS.values() for way in info.ways]
    assert len(ranks) == len(set(ranks)) == len(AUTO_ORDER)
    assert REFERENCE in AUTO_ORDER
    for name, info in BACKENDS.items():
        ways = [(way.device, way.precision) for way in AUTO_ORDER if way.backend == name]
        assert ways == [(way.device, way.precision) for way in info.ways]
        assert {way.device for way in info.ways} <= {"cpu", "cuda"}
        assert {way.precision for way in info.ways} | set(info.converts) <= set(PRECISIONS)


def test_flavours_of_int8_differ_by_name_and_suffix():
    assert INT8_FLAVOURS["cpu"] is CPU_INT8
    flavours = {info.int8 for info in BACKENDS.values()}
    assert flavours == set(INT8_FLAVOURS.values())
    assert len({flavour.suffix for flavour in flavours}) == len(flavours)


def test_a_flavour_that_does_not_exist(tmp_path):
    with pytest.raises(EngineError, match=r"no INT8 flavour tpu. Flavours: cpu, tensorrt\."):
        quantize("ipd_fer", tmp_path, "tpu")
