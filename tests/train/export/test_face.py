import json

import numpy as np
import onnx
import pytest
import torch

from engine.session import open_session
from tests.train.training import assert_file_agrees
from train.data.prepared import read_prepared
from train.errors import UserError
from train.evaluation.evaluate import evaluate_run, report
from train.export.face import TOLERANCE, ExportedModel, compare
from train.networks.face_model import FaceModel
from train.runs.load import load_model


def test_the_file_keeps_the_contract(exported):
    with open_session(exported.path) as session:
        (faces,) = session.inputs
        assert (faces.name, faces.dtype, faces.shape[1:]) == ("faces", np.uint8, (112, 112, 3))
        assert json.loads(session.metadata["labels"])[0] == "neutral"
        for count in (1, 3):
            outputs = session.run({"faces": np.full((count, 112, 112, 3), 90, np.uint8)})
            assert outputs["expression"].shape == (count, 8) and outputs["pose"].shape == (count, 3)
            np.testing.assert_allclose(outputs["expression"].sum(axis=1), 1, atol=1e-5)


def test_grey_faces_in_training_and_rgb_faces_at_run_time_are_the_same(
    tiny_run, tiny_data, exported
):
    faces = np.array(read_prepared(tiny_data).faces[:8])
    model, _ = load_model(tiny_run)
    assert_file_agrees(exported.unrounded, model, faces)


def test_other_weights_than_the_files_are_noticed(exported):
    torch.manual_seed(1)
    with pytest.raises(UserError, match="off by"):
        compare(
            ExportedModel(FaceModel("resnet10-half", "resnet10-half", 8)).eval(),
            onnx.load(exported.path),
            TOLERANCE,
        )


def test_the_weights_in_the_file_are_numbers_that_bfloat16_holds(exported):
    graph = onnx.load(exported.path).graph
    read = {node.input[1] for node in graph.node if node.op_type in ("Conv", "Gemm")}
    weights = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.name in read
    }
    assert sum(weight.size for weight in weights.values()) > 100_000
    for name, weight in weights.items():
        assert weight.dtype == np.float32, name
        assert not (weight.view(np.uint32) & 0xFFFF).any(), name


def test_the_file_says_where_it_comes_from(exported, tiny_run):
    register = exported.path.parent / "models.json"
    listed = json.loads(register.read_text())["tiny"]
    assert listed["labels"][3] == "sadness" and listed["size"] == exported.path.stat().st_size
    text = exported.path.read_bytes() + register.read_bytes()
    assert str(tiny_run).encode() not in text, "no path of the training machine may ship"
    onnx.checker.check_model(str(exported.path))


def test_evaluation_writes_numbers_and_picture(tiny_run, tiny_data):
    scores = evaluate_run(tiny_run, read_prepared(tiny_data), "test", device="cpu")

    assert scores["faces"] == 32 and scores["expression"]["accuracy"] > 0.9
    assert np.sum(scores["expression"]["confusion"]) == 32
    assert scores["pose"]["faces"] < 32, "faces without a trusted pose must not count"
    assert json.loads((tiny_run / "evaluation-test.json").read_text())["faces"] == 32
    assert (tiny_run / "confusion-test.png").read_bytes()[:4] == b"\x89PNG"
    assert "test: 32 faces" in report(scores)


def test_a_folder_that_is_no_run_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match="no config.json"):
        load_model(tmp_path)
