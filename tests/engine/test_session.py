import hashlib

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from engine.session import EngineError, TensorInfo, open_session
from tests.engine.conftest import doubling_model

FACES = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


def test_runs_named_arrays_of_any_batch(model_file):
    with open_session(model_file) as session:
        for batch in (FACES, FACES[:1], np.repeat(FACES, 10, axis=0)):
            outputs = session.run({"values": batch})
            assert list(outputs) == ["doubled"]
            np.testing.assert_array_equal(outputs["doubled"], 2 * batch)


def test_takes_arrays_that_are_not_contiguous(model_file):
    with open_session(model_file) as session:
        flipped = FACES[::-1, ::-1]
        np.testing.assert_array_equal(session.run({"values": flipped})["doubled"], 2 * flipped)


def test_describes_itself(model_file):
    with open_session(model_file, device="cpu", threads=2) as session:
        assert session.inputs == (TensorInfo("values", np.dtype("float32"), ("batch", 3)),)
        assert session.outputs == (TensorInfo("doubled", np.dtype("float32"), ("batch", 3)),)
        assert session.metadata == {"purpose": "test"}
        assert session.sha256 == hashlib.sha256(model_file.read_bytes()).hexdigest()
        version = ".".join(onnxruntime.__version__.split(".")[:2])
        used = f"ONNX Runtime {version}, CPUExecutionProvider, fp32, 2 threads"
        assert session.description == used


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"faces": FACES}, "takes the inputs values, not faces"),
        ({}, "takes the inputs values, not (none)"),
        ({"values": FACES, "more": FACES}, "takes the inputs values, not more, values"),
        ({"values": FACES.astype(np.uint8)}, "must be float32, not uint8"),
        ({"values": FACES[0]}, "must have the shape batch×3, not 3"),
        ({"values": FACES[:, :2]}, "must have the shape batch×3, not 2×2"),
        ({"values": FACES[:0]}, "an empty array cannot be run"),
        ({"values": FACES.tolist()}, "must be a NumPy array, not list"),
    ],
)
def test_says_what_is_wrong_with_an_input(model_file, arrays, message):
    with open_session(model_file) as session, pytest.raises(EngineError) as raised:
        session.run(arrays)
    assert message in str(raised.value)
    assert "doubling.onnx" in str(raised.value)


def test_cannot_be_used_after_close(model_file):
    session = open_session(model_file)
    session.close()
    session.close()
    with pytest.raises(EngineError, match="closed"):
        session.run({"values": FACES})


def test_a_failure_inside_the_network_is_an_engine_error(tmp_path):
    model = doubling_model(shape=("batch", "width"))
    # Fits the declared shape of any width, but only a width of 3 can be multiplied.
    model.graph.initializer[0].CopyFrom(
        onnx.numpy_helper.from_array(np.array([2, 2, 2], np.float32), "two")
    )
    path = tmp_path / "three.onnx"
    path.write_bytes(model.SerializeToString())
    with open_session(path) as session, pytest.raises(EngineError, match="three.onnx failed"):
        session.run({"values": np.ones((2, 5), np.float32)})


@pytest.mark.parametrize("content", [b"", b"not a model"])
def test_a_file_that_is_not_onnx(tmp_path, content, capfd):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(EngineError, match="broken.onnx cannot be opened") as raised:
        open_session(path)
    assert len(str(raised.value).splitlines()) == 1
    assert capfd.readouterr() == ("", "")


def test_a_truncated_model(model_file):
    model_file.write_bytes(model_file.read_bytes()[:-40])
    with pytest.raises(EngineError, match="doubling.onnx cannot be opened"):
        open_session(model_file)


def test_a_model_of_strings_is_refused(tmp_path):
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["text"], ["same"])],
        "strings",
        [onnx.helper.make_tensor_value_info("text", TensorProto.STRING, [1])],
        [onnx.helper.make_tensor_value_info("same", TensorProto.STRING, [1])],
    )
    opset = onnx.helper.make_opsetid("", 18)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9)
    onnx.save(model, tmp_path / "s.onnx")
    with pytest.raises(EngineError, match="tensor\\(string\\), which is not supported"):
        open_session(tmp_path / "s.onnx")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(EngineError, match="no model file .*missing.onnx"):
        open_session(tmp_path / "missing.onnx")
    with pytest.raises(EngineError, match="is a folder"):
        open_session(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "magic"}, "no backend magic. Backends: auto, onnxruntime"),
        ({"device": "tpu"}, "no device tpu. Devices: auto, cpu, cuda"),
        ({"threads": 0}, "give 1 or more"),
    ],
)
def test_options_that_do_not_exist(model_file, options, message):
    with pytest.raises(EngineError) as raised:
        open_session(model_file, **options)
    assert message in str(raised.value)


def test_cuda_works_or_says_how_to_get_it(model_file):
    try:
        with open_session(model_file, device="cuda") as session:
            assert "CUDAExecutionProvider" in session.description
    except EngineError as error:
        assert "onnxruntime-gpu" in str(error)
        assert "--device cpu" in str(error)
