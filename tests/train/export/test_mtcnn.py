import json
import sys

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from engine.session import open_session  # noqa: E402
from train.errors import UserError  # noqa: E402
from train.export.models_json import register, save_model  # noqa: E402
from train.export.mtcnn import export_mtcnn, import_facenet_pytorch  # noqa: E402
from train.networks.facenet_pytorch import _torchvision_stand_ins  # noqa: E402


@pytest.fixture(scope="module")
def facenet():
    return import_facenet_pytorch()


def test_stand_ins_are_gone_after_the_import(facenet):
    assert facenet.MTCNN
    left = [module for name, module in sys.modules.items() if name.startswith("torchvision")]
    assert all(module.__spec__ is not None for module in left)  # a stand-in has none


def test_stand_in_nms_keeps_groups_apart_and_prefers_high_scores():
    nms = _torchvision_stand_ins()["torchvision.ops.boxes"].batched_nms
    boxes = torch.tensor(
        [[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [50, 50, 60, 60]], dtype=torch.float32
    )
    scores = torch.tensor([0.8, 0.9, 0.7, 0.95])
    kept = nms(boxes, scores, torch.tensor([0, 0, 1, 0]), 0.5)
    assert kept.tolist() == [3, 1, 2]
    assert nms(boxes[:0], scores[:0], torch.tensor([]), 0.5).numel() == 0


@pytest.mark.parametrize(
    ("name", "size"),
    [("pnet", (24, 24)), ("pnet", (61, 90)), ("rnet", (24, 24)), ("onet", (48, 48))],
)
def test_shipped_networks_agree_with_facenet_pytorch(facenet, name, size):
    images = 255 * np.random.default_rng(1).random((3, *size, 3), dtype=np.float32)
    network = {"pnet": facenet.PNet, "rnet": facenet.RNet, "onet": facenet.ONet}[name]()
    planes = (torch.from_numpy(images).permute(0, 3, 1, 2) - 127.5) / 128
    with torch.no_grad():
        expected = [output.numpy() for output in network(planes)]
    with open_session(f"mtcnn_{name}", device="cpu") as session:
        outputs = session.run({"images": images})
    np.testing.assert_allclose(outputs["offsets"], expected[0], atol=1e-5)
    np.testing.assert_allclose(outputs["scores"], expected[-1][:, 1], atol=1e-5)
    if name == "onet":
        xs_then_ys = outputs["landmarks"].transpose(0, 2, 1).reshape(-1, 10)
        np.testing.assert_allclose(xs_then_ys, expected[1], atol=1e-5)


@pytest.mark.slow
def test_export_writes_three_registered_models(facenet, tmp_path):
    paths = export_mtcnn(tmp_path)
    assert [path.name for path in paths] == [f"mtcnn_{net}net.onnx" for net in "pro"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["models.json", *(path.name for path in paths)]
    )
    for path in paths:
        with open_session(path, device="cpu") as session:
            assert session.metadata["source"] == "facenet-pytorch 2.5.3"
            assert session.metadata["normalisation"].startswith("(images - 127.5) / 128")
            assert session.metadata["outputs"].split(", ") == [out.name for out in session.outputs]
            assert session.inputs[0].shape[0] == "batch"


def test_save_model_takes_out_the_traces_of_the_machine(tmp_path):
    info = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"], doc_string="File /home/someone/a.py")
    node.metadata_props.add(key="stack_trace", value="File /home/someone/a.py")
    opset = onnx.helper.make_opsetid("", 18)
    graph = onnx.helper.make_graph([node], "g", [info], [out])
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10)
    save_model(model, tmp_path / "new" / "m.onnx", {"labels": "a,b"})
    content = (tmp_path / "new" / "m.onnx").read_bytes()
    assert b"someone" not in content and b"labels" in content


def test_register_adds_and_replaces_entries(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"one")
    (tmp_path / "b.onnx").write_bytes(b"two")
    fields = {"made_by": "a command", "source": "here", "licence": "MIT"}
    register(tmp_path / "b.onnx", **fields)
    register(tmp_path / "a.onnx", **fields)
    (tmp_path / "a.onnx").write_bytes(b"three")
    register(tmp_path / "a.onnx", **fields, labels=("x", "y"))
    known = json.loads((tmp_path / "models.json").read_text())
    assert list(known) == ["a", "b"]
    assert known["a"]["size"] == 5 and known["a"]["labels"] == ["x", "y"]


def test_register_passes_on_what_the_engine_says(tmp_path):
    with pytest.raises(UserError, match="missing.onnx cannot be read"):
        register(tmp_path / "missing.onnx", made_by="a command", source="here", licence="MIT")
