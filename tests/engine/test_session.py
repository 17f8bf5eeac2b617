import hashlib
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from engine import self_check
from engine.contract import EngineError, TensorInfo
from engine.session import open_session
from tests.engine.conftest import doubling_model
from tests.engine.face_models import face_model

ONNX_RUNTIME = {"backend": "onnxruntime", "device": "cpu"}
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
        assert session.description.startswith(used)
        assert (session.precision, session.max_batch) == ("fp32", 64)


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
    with pytest.raises(EngineError, match="tensor text has the ONNX element type 8, which is"):
        open_session(tmp_path / "s.onnx")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(EngineError, match="no model file .*missing.onnx"):
        open_session(tmp_path / "missing.onnx")
    with pytest.raises(EngineError, match="is a folder"):
        open_session(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "magic"}, "no backend magic. Backends: auto, tensorrt, openvino, onnxruntime"),
        ({"device": "tpu"}, "no device tpu. Devices: auto, cpu, cuda"),
        ({"precision": "int4"}, "no precision int4. Precisions: auto, fp32, fp16, bf16, int8"),
        ({"threads": 0}, "give 1 or more"),
    ],
)
def test_options_that_do_not_exist(model_file, options, message):
    with pytest.raises(EngineError) as raised:
        open_session(model_file, **options)
    assert message in str(raised.value)


def test_cuda_works_or_says_how_to_get_it(model_file):
    try:
        with open_session(model_file, "onnxruntime", device="cuda") as session:
            said, works = session.description, True
    except EngineError as error:
        said, works = str(error), False
    expected = ["CUDAExecutionProvider"] if works else ["onnxruntime-gpu", "--device cpu"]
    assert all(text in said for text in expected)


def test_a_batch_larger_than_the_maximum_is_run_in_parts(model_file):
    with open_session(model_file, **ONNX_RUNTIME) as session:
        sizes = []
        run = session._backend.run
        session._backend.run = lambda arrays: sizes.append(len(arrays["values"])) or run(arrays)
        batch = np.arange(3 * 150, dtype=np.float32).reshape(150, 3)
        np.testing.assert_array_equal(session.run({"values": batch})["doubled"], 2 * batch)
        assert sizes == [64, 64, 22]


def test_a_model_of_fixed_batch_is_run_whole(tmp_path):
    onnx.save(doubling_model(shape=(100, 3)), tmp_path / "fixed.onnx")
    batch = np.ones((100, 3), np.float32)
    with open_session(tmp_path / "fixed.onnx", **ONNX_RUNTIME) as session:
        np.testing.assert_array_equal(session.run({"values": batch})["doubled"], 2 * batch)
        with pytest.raises(EngineError, match="must have the shape 100×3, not 2×3"):
            session.run({"values": FACES})


def test_many_threads_share_a_session(model_file):
    def run(number):
        batch = np.full((number % 5 + 1, 3), number, np.float32)
        for _ in range(20):
            np.testing.assert_array_equal(session.run({"values": batch})["doubled"], 2 * batch)

    with open_session(model_file, **ONNX_RUNTIME) as session, ThreadPoolExecutor(8) as pool:
        assert session.concurrent
        list(pool.map(run, range(40)))


def test_close_waits_for_the_runs_of_other_threads(model_file):
    session = open_session(model_file, **ONNX_RUNTIME)
    started, go_on = threading.Event(), threading.Event()
    run = session._backend.run

    def slow_run(arrays):
        started.set()
        assert go_on.wait(10)
        return run(arrays)

    session._backend.run = slow_run
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(session.run, {"values": FACES})
        assert started.wait(10)
        closing = pool.submit(session.close)
        while session._backend is not None:
            time.sleep(0.001)
        assert not closing.done()
        with pytest.raises(EngineError, match="closed"):
            session.run({"values": FACES})
        go_on.set()
        np.testing.assert_array_equal(running.result(10)["doubled"], 2 * FACES)
        closing.result(10)


def test_auto_says_what_it_took_and_why(model_file, only_onnx_runtime):
    with open_session(model_file) as session:
        why = "(auto; not installed: TensorRT, ONNX Runtime with CUDA)"
        assert session.description.endswith(f"fp32, one thread per core {why}")
    with open_session(model_file, device="cpu") as session:
        assert session.description.endswith("(auto; first choice)")
    with open_session(model_file, "onnxruntime", "cpu", "fp32") as session:
        assert "auto" not in session.description


def test_auto_takes_int8_where_it_is_shipped(int8_model, only_onnx_runtime):
    with open_session(int8_model, device="cpu") as session:
        assert session.path.name == "face.int8.onnx"
        assert session.precision == "int8"
        assert "CPUExecutionProvider, int8" in session.description
        assert "self-check within" in session.description
    with open_session(int8_model, device="cpu", precision="fp32") as session:
        assert (session.path.name, session.precision) == ("face.onnx", "fp32")


def test_auto_leaves_what_fails_its_self_check(int8_model, only_onnx_runtime, monkeypatch):
    monkeypatch.setitem(self_check.TOLERANCES, "int8", 0.0)
    with open_session(int8_model, device="cpu") as session:
        assert session.precision == "fp32"
        assert "not ONNX Runtime int8: failed its self-check on this machine" in session.description
    with open_session(int8_model, device="cpu", precision="int8", backend="onnxruntime") as session:
        assert session.precision == "int8"  # an explicit choice is taken at its word


def test_auto_leaves_what_cannot_run(int8_model, only_onnx_runtime, monkeypatch):
    def run(session, reference):
        raise EngineError("ONNX Runtime could not run it (no such instruction)")

    monkeypatch.setattr(self_check, "run", run)
    with open_session(int8_model, device="cpu") as session:
        assert session.precision == "fp32"
        assert "not ONNX Runtime int8: ONNX Runtime could not run it" in session.description


def test_auto_leaves_an_int8_model_of_another_version(int8_model, only_onnx_runtime):
    onnx.save(face_model(seed=1), int8_model)
    with open_session(int8_model, device="cpu") as session:
        assert session.precision == "fp32"
        assert "face.int8.onnx, the INT8 flavour of face.onnx, was made fr" in session.description
    with pytest.raises(EngineError, match="made from another version .*`python -m engine quantize"):
        open_session(int8_model, "onnxruntime", "cpu", "int8")


def test_where_nothing_works_every_reason_is_told(model_file, only_onnx_runtime):
    with pytest.raises(EngineError) as raised:
        open_session(model_file, device="cuda")
    assert "TensorRT is not installed: install it with" in str(raised.value)
    assert "onnxruntime-gpu" in str(raised.value)


def test_importing_the_engine_imports_no_library_for_inference():
    code = "import engine.session, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(run.stdout.split())
    assert "engine.session" in imported
    assert not imported & {"openvino", "onnxruntime", "tensorrt", "tensorrt_rtx", "onnx", "torch"}


def test_nobody_is_told_of_its_use():
    """ONNX Runtime and OpenVINO would, from the moment they are imported."""
    code = (
        "import engine.backends, os, sys; print(os.environ['ORT_DISABLE_TELEMETRY'], "
        "[name for name in ('onnxruntime', 'openvino') if name in sys.modules]); "
        "import importlib.util as u; "
        "u.find_spec('openvino') and sys.modules['engine.backends.openvino'].library(); "
        "print(sys.modules.get('openvino_telemetry'))"
    )
    clean = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True
    )
    assert found.stdout.split("\n")[:2] == ["1 []", "None"]


def test_a_name_that_is_no_text_is_refused_in_one_line(tmp_path):
    content = face_model().SerializeToString().replace(b"shape", b"sh\xff\xfee", 1)
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(EngineError) as caught:
        open_session(tmp_path / "model.onnx", "onnxruntime", "cpu", "fp32")
    assert "\n" not in str(caught.value)
