import json
import shutil

import pytest
import torch

from train.errors import UserError
from train.data.prepared import read_prepared
from train.export.face import export_run
from train.runs.initial import recognition_start, start_from
from train.fit import FitOptions, fit
from train.networks.face_model import ExpressionBranch, FaceModel
from train.networks.mobilefacenet import MobileFaceNet
from train.recipes.baseline import BaselineOptions


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
