import numpy as np
import onnx
import pytest
from onnx import TensorProto

from engine import registry
from engine.backends import EngineError, Options
from engine.backends.onnxruntime import load
from tests.engine.conftest import doubling_model


def test_computes_in_the_precision_of_the_graph(model_file, int8_files):
    for path, precision in ((model_file, "fp32"), (int8_files / "face.int8.onnx", "int8")):
        backend = load(registry.read(path), Options("cpu", precision))
        assert backend.precision == precision
        assert f"CPUExecutionProvider, {precision}" in backend.description


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_refuses_any_other(model_file, precision):
    with pytest.raises(EngineError, match=f"in fp32, as it is written, not in {precision}: use"):
        load(registry.read(model_file), Options("cpu", precision))


def test_says_how_many_threads(model_file):
    said = {None: "one thread per core", 1: "1 thread", 2: "2 threads"}
    for threads, text in said.items():
        backend = load(registry.read(model_file), Options("cpu", "fp32", threads))
        assert backend.description.endswith(f", {text}")


def test_half_precision_inputs_and_outputs(tmp_path):
    onnx.save(doubling_model(TensorProto.FLOAT16), tmp_path / "half.onnx")
    backend = load(registry.read(tmp_path / "half.onnx"), Options("cpu", "fp16"))
    (doubled,) = backend.run({"values": np.ones((1, 3), np.float16)}).values()
    assert doubled.dtype == np.float16 and (doubled == 2).all()
