from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

pytest.importorskip("openvino", reason="needs the openvino extra")

from engine import registry, self_check
from engine.backends import openvino
from engine.contract import EngineError, Options
from engine.session import open_session
from realtime.detection.mtcnn import Detector
from realtime.sources.open import open_source
from tests.engine.face_models import random_faces

CLIP = Path(__file__).resolve().parents[3] / "realtime/clips/astronaut.mp4"


def processor_has(capability):
    return capability in openvino.library().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.mark.parametrize("name", ["ipd_fer", "mtcnn_pnet", "mtcnn_rnet", "mtcnn_onet"])
def test_agrees_with_onnx_runtime_in_fp32(name):
    outputs = []
    for backend in ("onnxruntime", "openvino"):
        with open_session(name, backend, "cpu", "fp32") as session:
            outputs.append(session.run(self_check.pictures(session.inputs)))
    assert outputs[0].keys() == outputs[1].keys()
    for output, expected in outputs[0].items():
        assert outputs[1][output].dtype == expected.dtype
        np.testing.assert_allclose(outputs[1][output], expected, rtol=1e-5, atol=1e-4)


def test_the_detector_finds_the_same_faces():
    with open_source(str(CLIP)) as source:
        image = next(iter(source)).image
    with Detector(backend="onnxruntime") as one, Detector(backend="openvino") as other:
        expected, faces = one.detect(image), other.detect(image)
    assert len(faces) == len(expected) > 0
    for face, same in zip(faces, expected, strict=True):
        np.testing.assert_allclose(face.box, same.box, atol=0.01)
        np.testing.assert_allclose(face.landmarks, same.landmarks, atol=0.01)
        assert face.score == pytest.approx(same.score, abs=1e-4)


@pytest.mark.parametrize("batch", [1, 2, 7, 65])
def test_any_batch_in_any_layout(int8_files, batch):
    faces = random_faces(batch)[::-1, :, ::-1]
    outputs = []
    for backend in ("onnxruntime", "openvino"):
        with open_session(int8_files / "face.onnx", backend, "cpu", "fp32") as session:
            outputs.append(session.run({"faces": faces}))
    for output in ("expression", "pose"):
        np.testing.assert_allclose(outputs[1][output], outputs[0][output], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("precision", "file"), [("int8", "face.int8.onnx"), ("bf16", "face.onnx")])
def test_the_precision_asked_for_is_the_one_in_use(int8_files, precision, file):
    if not processor_has(precision.upper()):
        pytest.skip(f"this processor has no {precision}")
    faces = random_faces(50)
    with open_session(int8_files / "face.onnx", "onnxruntime", "cpu", "fp32") as session:
        expected = session.run({"faces": faces})["expression"]
    with open_session(int8_files / "face.onnx", "openvino", "cpu", precision) as session:
        assert (session.precision, session.path.name) == (precision, file)
        assert f"CPU, {precision}" in session.description
        assert np.abs(session.run({"faces": faces})["expression"] - expected).max() < 0.05


def test_bf16_tells_logits_apart_that_are_closer_than_its_steps(tmp_path):
    if not processor_has("BF16"):
        pytest.skip("this processor has no bf16")
    value = partial(helper.make_tensor_value_info, elem_type=TensorProto.FLOAT, shape=["batch", 2])
    sum_and_first = helper.make_tensor("weights", TensorProto.FLOAT, [2, 2], [1, 1, 1, 0])
    layers = [
        helper.make_node("Gemm", ["features", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        layers, "head", [value("features")], [value("probabilities")], [sum_and_first]
    )
    path = tmp_path / "head.onnx"
    onnx.save(helper.make_model(graph, ir_version=9), path)

    backend = openvino.load(registry.read(path), Options("cpu", "bf16"))
    found = backend.run({"features": np.array([[6, 1 / 128]], np.float32)})
    assert list(found) == ["probabilities"]
    assert found["probabilities"][0, 0] == pytest.approx(1 / (1 + np.exp(-1 / 128)), abs=1e-5)


def test_what_the_processor_cannot_do_is_refused(int8_files, monkeypatch):
    monkeypatch.setitem(openvino._CAPABILITIES, "fp16", "NOT_THERE")
    model = registry.read(int8_files / "face.onnx")
    with pytest.raises(EngineError, match="no fp16 on this processor: use --precision with one of"):
        openvino.load(model, Options("cpu", "fp16"))
    quantized = registry.read(int8_files / "face.int8.onnx")
    with pytest.raises(EngineError, match="written in int8 .*: use --precision int8"):
        openvino.load(quantized, Options("cpu", "fp32"))


def test_threads_take_turns_and_keep_their_outputs(int8_files):
    def run(number):
        faces = random_faces(number % 3 + 1) // (number % 7 + 1)
        return faces, session.run({"faces": faces})["expression"]

    with open_session(int8_files / "face.onnx", "openvino", "cpu", "fp32") as session:
        assert not session.concurrent
        with ThreadPoolExecutor(6) as pool:
            results = list(pool.map(run, range(30)))
        # Compared only now: a later run must not have written into an earlier one's outputs.
        for faces, expression in results:
            again = session.run({"faces": faces})["expression"]
            np.testing.assert_allclose(expression, again, atol=1e-6)


def test_a_model_that_openvino_cannot_compile(model_file):
    content = model_file.read_bytes().replace(b"Mul", b"Mol")
    model_file.write_bytes(content)
    with pytest.raises(EngineError, match="cannot be opened: OpenVINO cannot compile") as raised:
        open_session(model_file, "openvino")
    assert len(str(raised.value).splitlines()) == 1


def test_description_and_threads(model_file):
    with open_session(model_file, "openvino", precision="fp32", threads=1) as session:
        assert session.description.startswith("OpenVINO 20")
        assert session.description.endswith("CPU, fp32, 1 thread")
        assert (session.metadata, session.max_batch) == ({"purpose": "test"}, 64)
