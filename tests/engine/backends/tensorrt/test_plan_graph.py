import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from engine import model_file, registry
from engine.backends.tensorrt import plan_graph
from engine.contract import EngineError
from tests.engine.conftest import doubling_model

SHIPPED = ("ipd_fer", "mtcnn_pnet", "mtcnn_rnet", "mtcnn_onet")


def parsed(model: onnx.ModelProto) -> model_file.ModelFile:
    return model_file.parse(Path("model.onnx"), model.SerializeToString(), "ab12")


@pytest.mark.parametrize("name", SHIPPED)
def test_the_fp16_copy_computes_the_same_in_fp16(name):
    model = registry.read(registry.find(name))
    content = plan_graph.graph_for(model, "fp16")
    half = onnx.load_from_string(content)
    onnx.checker.check_model(half, full_check=True)
    copy = model_file.parse(model.path, content, "")
    assert copy.precision == "fp16"
    assert (copy.inputs, copy.outputs, copy.metadata) == (
        model.inputs,
        model.outputs,
        model.metadata,
    )
    kinds = {tensor.data_type for tensor in half.graph.initializer}
    assert TensorProto.FLOAT16 in kinds and TensorProto.FLOAT not in kinds
    arrays = random_inputs(model)
    pairs = zip(outputs(model.content, arrays), outputs(content, arrays), strict=True)
    for wanted, output in pairs:
        assert output.dtype == wanted.dtype
        np.testing.assert_allclose(output, wanted, atol=0.01 * max(1, np.abs(wanted).max()))


def random_inputs(model) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        info.name: random.integers(
            0, 256, (2, *(s if isinstance(s, int) else 60 for s in info.shape[1:]))
        ).astype(info.dtype)
        for info in model.inputs
    }


def outputs(content: bytes, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options).run(None, arrays)


def test_a_model_in_the_precision_asked_for_is_taken_as_it_is():
    for kind, precision in ((TensorProto.FLOAT, "fp32"), (TensorProto.FLOAT16, "fp16")):
        model = parsed(doubling_model(kind))
        assert plan_graph.graph_for(model, precision) is model.content


def test_int8_needs_a_model_with_qdq_nodes():
    model = parsed(doubling_model())
    with pytest.raises(EngineError, match="no QDQ nodes.*quantize --flavour tensorrt"):
        plan_graph.graph_for(model, "int8")
    quantized = replace(model, precision="int8")
    assert plan_graph.graph_for(quantized, "int8") is model.content


@pytest.mark.parametrize(
    ("has", "asked", "message"),
    [
        ("fp32", "bf16", "in fp32, fp16, int8, not in bf16"),
        ("int8", "fp16", "a model in int8 and cannot be had in fp16: use --precision int8"),
        ("fp16", "fp32", "a model in fp16 and cannot be had in fp32: use --precision fp16"),
    ],
)
def test_what_cannot_be_had(has, asked, message):
    model = replace(parsed(doubling_model()), precision=has)
    with pytest.raises(EngineError, match=message):
        plan_graph.graph_for(model, asked)


def test_a_weight_that_fp16_cannot_hold():
    model = doubling_model()
    weight = onnx.numpy_helper.from_array(np.array([1, -1e5, 0], np.float32), "two")
    model.graph.initializer[0].CopyFrom(weight)
    with pytest.raises(EngineError, match="two reaches 100000, which fp16 cannot hold"):
        plan_graph.graph_for(parsed(model), "fp16")


def test_fp16_without_the_onnx_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(EngineError, match="made with the package onnx: `pip install onnx`"):
        plan_graph.half_precision(b"")
