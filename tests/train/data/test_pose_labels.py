import hashlib
import json
import shutil

import numpy as np
import onnx
import pytest
import torch

from realtime.faces import HeadPose
from tests.train.made_up import save_picture
from train.__main__ import main
from train.data.pose_labels import EstimatedPose, PoseTable, pose_labels
from train.data.prepared import read_prepared
from train.errors import UserError
from train.export.face import ExportedModel
from train.export.models_json import save_model
from train.runs.load import load_model


def constant_pose(path, angles=(12.0, -5.0, 30.0)):
    """An ONNX file that sees the same pose in every face."""
    value = onnx.numpy_helper.from_array(np.array([angles], np.float32))
    node = onnx.helper.make_node("Constant", [], ["pose"], value=value)
    graph = onnx.helper.make_graph(
        [node],
        "pose",
        [onnx.helper.make_tensor_value_info("faces", onnx.TensorProto.UINT8, ["n", 112, 112, 3])],
        [onnx.helper.make_tensor_value_info("pose", onnx.TensorProto.FLOAT, [1, 3])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 9
    save_model(model, path, {})
    return path


FACE = np.full((112, 112, 1), 100, np.uint8)


def test_no_labels_are_unknown():
    labels = pose_labels(None, None)
    assert labels.name == "none" and np.isnan(labels.angles("a.png", FACE, 0.0)).all()


def test_a_table_by_picture(tmp_path):
    (tmp_path / "pose.csv").write_text("image,yaw,pitch,roll\nx/a.png,1,-2.5,3\n")

    table = PoseTable(tmp_path / "pose.csv")

    table.check(iter(["x/b.png", "x/a.png"]))
    assert table.name == "pose.csv"
    assert table.angles("x/a.png", FACE, 40.0) == (1.0, -2.5, 3.0)
    assert np.isnan(table.angles("x/b.png", FACE, 0.0)).all()
    with pytest.raises(UserError, match="names none of the pictures.*names like x/c.png"):
        table.check(iter(["x/c.png"]))


def test_the_aligned_pose_is_turned_back_into_the_picture(tmp_path):
    path = constant_pose(tmp_path / "pose.onnx")
    labels = EstimatedPose(path)

    upright = labels.angles("a.png", FACE, 0.0)
    # Alignment turned the picture clockwise by 20°, so in the picture the head leans less so.
    turned = labels.angles("a.png", FACE, 20.0)

    np.testing.assert_allclose(upright, (12, -5, 30), atol=1e-3)
    expected = HeadPose(12, -5, 30).turned(-20)
    np.testing.assert_allclose(turned, (expected.yaw, expected.pitch, expected.roll), atol=1e-3)
    assert turned[2] < 30
    assert hashlib.sha256(path.read_bytes()).hexdigest() in labels.name
    assert labels.name.startswith("pose branch of pose.onnx")


def test_a_run_labels_as_its_network_does(tiny_run, tiny_data):
    face = np.array(read_prepared(tiny_data).faces[3])
    model, _ = load_model(tiny_run)
    with torch.no_grad():
        _, expected = ExportedModel(model)(torch.from_numpy(face[None]))

    labels = EstimatedPose(tiny_run)

    np.testing.assert_allclose(labels.angles("a", face, 0.0), expected[0], atol=1e-2)
    colour = np.repeat(face, 3, axis=2)
    np.testing.assert_allclose(labels.angles("a", colour, 0.0), expected[0], atol=1e-2)
    assert f"{tiny_run.name}, best.safetensors sha256" in labels.name
    assert str(tiny_run.parent) not in labels.name


def test_prepared_data_records_the_estimator(tmp_path):
    path = constant_pose(tmp_path / "pose.onnx")
    for name in ("happy", "sad"):
        for index in range(4):
            save_picture(tmp_path / "faces" / name / f"{index}.png", index)
    (tmp_path / "table.csv").write_text("image,yaw,pitch,roll\nhappy/0.png,1,2,3\n")
    command = ["prepare", "folders", "--source", str(tmp_path / "faces"), "--no-find-faces"]

    def pose_from(*options):
        output = tmp_path / "out"
        shutil.rmtree(output, ignore_errors=True)
        assert main([*command, "--output", str(output), *options]) == 0
        about = json.loads((output / "prepared.json").read_text())
        return about["pose_from"], read_prepared(output)

    name, data = pose_from("--label-pose", str(path))
    assert name == EstimatedPose(path).name and np.isfinite(data.pose).all()
    assert not data.pose_trusted.any(), "no landmarks, no trust"
    name, data = pose_from("--pose", str(tmp_path / "table.csv"))
    assert name == "table.csv" and np.isfinite(data.pose).all(axis=1).sum() == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("image,yaw,pitch\n", "lacks the columns roll"),
        ("image,yaw,pitch,roll\na.png,1,2,left\n", "the pose of a.png is not three numbers"),
        ("image,yaw,pitch,roll\na.png,1\n", "line 2: expected 4 columns: mend that line"),
    ],
)
def test_a_broken_table_is_one_clear_line(content, message, tmp_path):
    (tmp_path / "pose.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        PoseTable(tmp_path / "pose.csv")


def test_what_cannot_label_poses_is_one_clear_line(tmp_path):
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(UserError, match="text.onnx is not an ONNX file") as caught:
        pose_labels(None, tmp_path / "text.onnx")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="neither a run folder nor an ONNX file"):
        pose_labels(None, tmp_path / "nowhere")
    with pytest.raises(UserError, match="no config.json"):
        pose_labels(None, tmp_path)
    with pytest.raises(UserError, match="pose.csv is missing"):
        pose_labels(tmp_path / "pose.csv", None)
    with pytest.raises(UserError, match="not both"):
        pose_labels(tmp_path / "pose.csv", tmp_path / "text.onnx")
