"""A model small enough to check by hand, and a models folder of its own."""

import hashlib
import importlib.util
import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from engine import choice, registry
from engine.backends.tensorrt import plans
from engine.quantize import quantize
from tests.engine.face_models import face_model, random_faces, write_prepared


def doubling_model(element_type=TensorProto.FLOAT, shape=("batch", 3)) -> onnx.ModelProto:
    """`doubled` = 2 · `values`."""
    dtype = helper.tensor_dtype_to_np_dtype(element_type)
    graph = helper.make_graph(
        [helper.make_node("Mul", ["values", "two"], ["doubled"])],
        "doubling",
        [helper.make_tensor_value_info("values", element_type, shape)],
        [helper.make_tensor_value_info("doubled", element_type, shape)],
        [onnx.numpy_helper.from_array(np.array(2, dtype), "two")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"purpose": "test"})
    return model


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "doubling.onnx"
    onnx.save(doubling_model(), path)
    return path


@pytest.fixture
def models_folder(tmp_path, monkeypatch):
    """A models folder with the one shipped model "doubling", in place of the real one."""
    folder = tmp_path / "models"
    folder.mkdir()
    content = doubling_model().SerializeToString()
    (folder / "doubling.onnx").write_bytes(content)
    entry = {
        "file": "doubling.onnx",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "made_by": "the tests",
        "labels": ["a", "b", "c"],
    }
    (folder / "models.json").write_text(json.dumps({"doubling": entry}))
    monkeypatch.setattr(registry, "MODELS", folder.resolve())
    return folder


@pytest.fixture(scope="session")
def int8_files(tmp_path_factory):
    """A folder with face.onnx, face.int8.onnx and face.trt-int8.onnx, quantised once."""
    folder = tmp_path_factory.mktemp("int8")
    onnx.save(face_model(), folder / "face.onnx")
    write_prepared(folder / "prepared", random_faces(64, channels=1), splits=["train"] * 64)
    for flavour in ("cpu", "tensorrt"):
        quantize(folder / "face.onnx", folder / "prepared", flavour, count=48)
    return folder


@pytest.fixture
def int8_model(int8_files, tmp_path):
    """face.onnx with its INT8 flavours beside it, in a folder of its own."""
    for path in int8_files.glob("*.onnx"):
        shutil.copy(path, tmp_path)
    return tmp_path / "face.onnx"


@pytest.fixture
def only_onnx_runtime(monkeypatch):
    """As if the other libraries were not installed."""

    def find_spec(name):
        return importlib.util.find_spec(name) if name == "onnxruntime" else None

    monkeypatch.setattr(choice, "find_spec", find_spec)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty folder for plans, in place of the user's."""
    folder = tmp_path / "cache"
    monkeypatch.setenv(plans.FOLDER_VARIABLE, str(folder))
    return folder
