"""A model small enough to check by hand, and a models folder of its own."""

import hashlib
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from engine import registry


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
