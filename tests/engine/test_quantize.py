import json
import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest

from engine import registry
from engine.contract import EngineError
from engine.quantize import _quiet, float_nodes, quantize
from engine.session import open_session
from tests.engine.face_models import LABELS, face_model, random_faces, write_prepared


@pytest.fixture
def prepared(tmp_path):
    write_prepared(tmp_path / "prepared", random_faces(20), splits=["train"] * 16 + ["test"] * 4)
    return tmp_path / "prepared"


def quantized_operators(path):
    """Types of the operators that read a dequantised tensor."""
    graph = onnx.load(path).graph
    dequantized = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    return {
        node.op_type
        for node in graph.node
        if node.input[0] in dequantized and node.op_type != "QuantizeLinear"
    }


def types_of(path, operator):
    """Types of the zero points of the nodes of one operator type."""
    graph = onnx.load(path).graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {kinds[node.input[2]] for node in graph.node if node.op_type == operator}


def test_the_way_from_bytes_to_pixels_and_the_heads_stay_float():
    kept = float_nodes(face_model().graph)
    heads = {"classify", "decide", "softmax", "angles"}
    assert kept == {"cast", "reshape", "grey_mean"} | heads


def test_int8_agrees_with_fp32(int8_files):
    faces = random_faces(200)
    outputs = {}
    for precision in ("fp32", "int8"):
        with open_session(int8_files / "face.onnx", "onnxruntime", "cpu", precision) as session:
            assert session.precision == precision
            outputs[precision] = session.run({"faces": faces})
            assert json.loads(session.metadata["labels"]) == list(LABELS)
    difference = np.abs(outputs["int8"]["expression"] - outputs["fp32"]["expression"])
    assert 0 < difference.max() < 0.05
    labels = [outputs[precision]["expression"].argmax(axis=1) for precision in outputs]
    assert np.mean(labels[0] == labels[1]) >= 0.97


def test_flavours(int8_files):
    unsigned, signed = onnx.TensorProto.UINT8, onnx.TensorProto.INT8
    cpu, tensorrt = int8_files / "face.int8.onnx", int8_files / "face.trt-int8.onnx"
    assert types_of(cpu, "QuantizeLinear") == {unsigned}
    assert types_of(tensorrt, "QuantizeLinear") == {signed}
    for path in (cpu, tensorrt):
        assert "Conv" in quantized_operators(path)
        assert not quantized_operators(path) & {"Softmax", "Cast", "Reshape"}
    # TensorRT wants symmetric activations and float biases.
    graph = onnx.load(tensorrt).graph
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    points = [values[node.input[2]] for node in graph.node if "Linear" in node.op_type]
    assert all((point == 0).all() for point in points)


def test_relu6_becomes_int8_too(tmp_path, prepared):
    """Otherwise every layer of a MobileNet would go back to float for it."""
    model = face_model()
    for node in model.graph.node:
        if node.op_type == "Relu":
            node.op_type = "Clip"
            node.input.extend(["zero", "six"])
    for name, value in (("zero", 0), ("six", 6)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(value), name))
    onnx.save(model, tmp_path / "relu6.onnx")
    quantize(tmp_path / "relu6.onnx", prepared)
    nodes = onnx.load(tmp_path / "relu6.int8.onnx").graph.node
    quantised = {node.input[0] for node in nodes if node.op_type == "QuantizeLinear"}
    clipped = {node.output[0] for node in nodes if node.op_type == "Clip"}
    assert clipped <= quantised, "what is clipped goes on as INT8"
    assert "Conv" in quantized_operators(tmp_path / "relu6.int8.onnx")


def test_weights_are_quantised_per_channel(int8_files):
    graph = onnx.load(int8_files / "face.int8.onnx").graph
    sizes = {tensor.name: onnx.numpy_helper.to_array(tensor).size for tensor in graph.initializer}
    scales = [sizes[node.input[1]] for node in graph.node if node.op_type == "DequantizeLinear"]
    assert 16 in scales and 1 in scales


def test_the_result_is_listed_and_knows_what_it_was_made_from(tmp_path, prepared):
    onnx.save(face_model(), tmp_path / "face.onnx")
    facts = {"made_by": "the tests", "source": "random numbers", "licence": "MIT"}
    registry.register(tmp_path / "face.onnx", **facts)
    entry = quantize(tmp_path / "face.onnx", prepared)
    listed = json.loads((tmp_path / "models.json").read_text())
    assert list(listed) == ["face", "face.int8"]
    assert (entry.source, entry.licence, entry.labels) == ("random numbers", "MIT", list(LABELS))
    assert listed["face.int8"]["notes"].endswith("face.onnx, calibrated on 16 training faces")
    original = registry.read(tmp_path / "face.onnx")
    made = registry.read(tmp_path / "face.int8.onnx")
    assert made.metadata[registry.QUANTIZED_FROM] == original.sha256
    assert (made.precision, made.sha256) == ("int8", entry.sha256)


def test_the_same_faces_give_the_same_file(tmp_path, prepared):
    onnx.save(face_model(), tmp_path / "face.onnx")
    entries = [quantize(tmp_path / "face.onnx", prepared, count=8) for _ in range(2)]
    assert entries[0].sha256 == entries[1].sha256


def test_what_cannot_be_quantised(int8_model, model_file, prepared):
    with pytest.raises(EngineError, match="face.int8.onnx is written in int8: quantise the fp32"):
        quantize(int8_model.with_name("face.int8.onnx"), prepared)
    with pytest.raises(EngineError, match="takes values float32 batch×3, not aligned faces"):
        quantize(model_file, prepared)


def test_quantising_in_two_threads_leaves_logging_as_it_was(caplog):
    """Of two that begin and end crosswise."""
    first, second = _quiet(), _quiet()
    with ThreadPoolExecutor(1) as other_thread:
        first.__enter__()
        other_thread.submit(second.__enter__).result()
        logging.warning("advice to preprocess")
        first.__exit__(None, None, None)
        other_thread.submit(second.__exit__, None, None, None).result()
    logging.warning("of the program")
    assert [record.message for record in caplog.records] == ["of the program"]
    assert logging.root.manager.disable == logging.NOTSET and logging.root.filters == []


def test_other_threads_may_log_meanwhile(caplog):
    with _quiet(), ThreadPoolExecutor(1) as other_thread:
        other_thread.submit(logging.warning, "of another thread").result()
        logging.error("what went wrong")
    assert [record.message for record in caplog.records] == ["of another thread", "what went wrong"]
