import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from engine import model_file, registry
from engine.contract import EngineError, TensorInfo
from tests.engine.conftest import doubling_model
from tests.engine.face_models import face_model


def parsed(content: bytes, tmp_path):
    return model_file.parse(tmp_path / "model.onnx", content, "sha")


@pytest.mark.parametrize("name", registry.entries())
def test_reads_what_the_onnx_package_reads(name):
    path = registry.find(name)
    model, expected = registry.read(path), onnx.load(path)
    assert [info.name for info in model.inputs] == [value.name for value in expected.graph.input]
    assert [info.name for info in model.outputs] == [value.name for value in expected.graph.output]
    values = [*expected.graph.input, *expected.graph.output]
    for info, value in zip(model.inputs + model.outputs, values, strict=True):
        tensor = value.type.tensor_type
        assert info.dtype == helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        assert info.shape == tuple(d.dim_param or d.dim_value for d in tensor.shape.dim)
    assert model.metadata == {prop.key: prop.value for prop in expected.metadata_props}
    assert model.operators == {node.op_type for node in expected.graph.node}


def test_a_free_dimension_without_a_name_is_called_by_its_axis(tmp_path):
    model = parsed(doubling_model(shape=(None, 3)).SerializeToString(), tmp_path)
    assert model.inputs == (TensorInfo("values", np.dtype("float32"), ("dim0", 3)),)


def test_weights_among_the_inputs_are_none(tmp_path):
    model = doubling_model()
    model.graph.input.append(helper.make_tensor_value_info("two", TensorProto.FLOAT, []))
    assert [info.name for info in parsed(model.SerializeToString(), tmp_path).inputs] == ["values"]


def test_precision_is_that_of_the_graph_not_of_its_inputs(tmp_path):
    assert parsed(face_model().SerializeToString(), tmp_path).precision == "fp32"
    half = parsed(doubling_model(TensorProto.FLOAT16).SerializeToString(), tmp_path)
    assert half.precision == "fp16"
    quantized = doubling_model()
    zero = onnx.numpy_helper.from_array(np.array(0, np.uint8), "zero")
    quantized.graph.initializer.append(zero)
    for kind, source, target in (("Quantize", "values", "q"), ("Dequantize", "q", "d")):
        node = helper.make_node(f"{kind}Linear", [source, "two", "zero"], [target])
        quantized.graph.node.append(node)
    assert parsed(quantized.SerializeToString(), tmp_path).precision == "int8"


def test_a_model_cut_anywhere_is_refused_or_is_a_whole_message(tmp_path):
    def refusal(content):
        try:
            parsed(content, tmp_path)
        except EngineError as error:
            return str(error)

    content = doubling_model().SerializeToString()
    refusals = [text for end in range(len(content)) if (text := refusal(content[:end]))]
    assert all("not a whole ONNX model" in text for text in refusals)
    # Between two outer fields a cut leaves a valid message with fewer fields.
    assert len(refusals) > 0.9 * len(content)


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(1000), b"\xff" * 1000])
def test_something_else_is_refused(tmp_path, content):
    with pytest.raises(EngineError, match="model.onnx cannot be opened: it is not a whole ONNX"):
        parsed(content, tmp_path)
