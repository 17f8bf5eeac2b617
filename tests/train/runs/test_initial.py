import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import train.runs.initial as initial
from train.data.prepared import read_prepared
from train.errors import UserError
from train.export.face import export_run
from train.files import file_sha256
from train.fit import FitOptions, fit
from train.networks.dlib_resnet import DlibResNet
from train.networks.encoders import DlibEncoder
from train.networks.face_model import ExpressionBranch, FaceModel
from train.networks.mobilefacenet import MobileFaceNet
from train.networks.mobilenet import MobileNet
from train.networks.recognition_weights import RECOGNITION_WEIGHTS
from train.recipes.baseline import BaselineOptions
from train.runs.initial import licence_of_start, recognition_start, start_from


@pytest.fixture(scope="module")
def recognition(tmp_path_factory):
    """A file with the state dict of a MobileFaceNet that nobody has trained."""
    path = tmp_path_factory.mktemp("weights") / "recognition.pt"
    torch.save(MobileFaceNet().state_dict(), path)
    return path


def test_encoders_that_are_a_mobilefacenet_start_from_the_file(recognition):
    model = FaceModel("mobilefacenet", "resnet10-half", 8)
    pose = {name: tensor.clone() for name, tensor in model.pose.state_dict().items()}
    discriminator = ExpressionBranch("mobilefacenet", 8, dropout=0.0)
    start_from(recognition, model, discriminator)

    weights = torch.load(recognition, weights_only=True)
    for branch in (model.expression, discriminator):
        for name, tensor in branch.encoder.layers.state_dict().items():
            assert torch.equal(tensor, weights[name]), name
    for name, tensor in model.pose.state_dict().items():
        assert torch.equal(tensor, pose[name]), "the pose branch is another network"


def test_other_networks_cannot_start_from_it(recognition, tmp_path):
    model = FaceModel("resnet10-half", "resnet10-half", 8)
    with pytest.raises(UserError, match="needs --network mobilefacenet"):
        start_from(recognition, model)
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(UserError, match="--initial .*is not a MobileFaceNet state dict"):
        start_from(tmp_path / "text.pt", FaceModel("mobilefacenet", "resnet10-half", 8))


def test_weights_that_started_from_recognition_are_not_exported(recognition, tiny_data, tmp_path):
    options = FitOptions(
        tiny_data, tmp_path / "run", epochs=1, batch_size=32, precision="32-true", device="cpu"
    )
    start = BaselineOptions("mobilefacenet", "resnet10-half", initial=recognition)
    fit("baseline", options, start, read_prepared(tiny_data), resume=False)

    with pytest.raises(UserError, match="started from recognition.pt.*fit distill"):
        export_run(options.run, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
    assert recognition_start(options.run) == "recognition.pt", "nor is what starts from them"


def test_a_run_from_scratch_or_from_before_started_from_nothing(tiny_run, tmp_path):
    assert recognition_start(None) is None and recognition_start(tiny_run) is None
    older = shutil.copytree(tiny_run, tmp_path / "older")
    config = json.loads((older / "config.json").read_text())
    del config["started_from"]
    (older / "config.json").write_text(json.dumps(config))
    assert recognition_start(older) is None


@pytest.fixture
def licensed(tmp_path, monkeypatch):
    """A made-up file in the place of MobileNet's, under its name."""
    path = tmp_path / "data/identity/mobilenet_vggface2.safetensors"
    path.parent.mkdir(parents=True)
    layers = MobileNet().named_layers()
    tensors = {}
    for name, layer in layers:
        tensors[f"{name}.weight"] = layer.conv.weight.detach()
        tensors[f"{name}.scale"] = torch.ones(layer.bn.num_features)
        tensors[f"{name}.shift"] = torch.zeros(layer.bn.num_features)
    save_file(tensors, path)
    listed = RECOGNITION_WEIGHTS["mobilenet-vggface2"]
    known = dataclasses.replace(listed, sha256=file_sha256(path))
    monkeypatch.setitem(RECOGNITION_WEIGHTS, "mobilenet-vggface2", known)
    monkeypatch.chdir(tmp_path)
    return path


def test_named_weights_are_found_and_started_from(licensed):
    model = FaceModel("mobilenet-half", "resnet10-half", 8)
    with pytest.raises(UserError, match="does not fit"):
        start_from(Path("mobilenet-vggface2"), model)
    model = FaceModel("mobilenet", "resnet10-half", 8)
    start_from(Path("mobilenet-vggface2"), model)
    weight = model.expression.encoder.layers.conv1.conv.weight
    assert torch.equal(weight, load_file(licensed)["conv1.weight"])
    assert recognition_start(Path("mobilenet-vggface2")) == licensed.name


def test_what_is_not_the_file_of_that_name_is_refused(licensed):
    licensed.write_bytes(licensed.read_bytes() + b" ")
    with pytest.raises(UserError, match="not the file it is named after"):
        recognition_start(Path("mobilenet-vggface2"))
    licensed.unlink()
    with pytest.raises(UserError, match=r"there is no data/identity/.*Put it there: it is .*npm"):
        recognition_start(Path("mobilenet-vggface2"))


def test_dlibs_network_starts_from_its_own_file(tmp_path, monkeypatch):
    """With what the file holds taken as read, which tests/train/networks/test_dlib_resnet.py has."""
    (tmp_path / "dlib.dat").write_bytes(b"")
    network = DlibResNet()
    reads = ("dlib-resnet", DlibEncoder, lambda path: network)
    monkeypatch.setitem(initial.READERS, ".dat", reads)
    with pytest.raises(UserError, match="need --network dlib-resnet"):
        start_from(tmp_path / "dlib.dat", FaceModel("mobilenet", "resnet10-half", 8))
    model = FaceModel("dlib-resnet", "resnet10-half", 8)
    start_from(tmp_path / "dlib.dat", model)
    assert torch.equal(model.expression.encoder.layers.conv1.weight, network.conv1.weight)


def test_only_weights_under_a_licence_may_be_passed_on():
    assert licence_of_start(None) == ""
    assert "Apache-2.0" in licence_of_start("mobilenet_vggface2.safetensors")
    assert "CC0" in licence_of_start("dlib_face_recognition_resnet_model_v1.dat")
    assert licence_of_start("recognition.pt") is None
