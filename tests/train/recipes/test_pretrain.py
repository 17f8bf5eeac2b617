import numpy as np
import pytest
import torch

import train.recipes.pretrain
from tests.train.training import STILL
from train.data.prepared import read_prepared
from train.fit import FitOptions, fit
from train.networks.face_model import FaceModel
from train.networks.identity import Identity
from train.recipes.pretrain import PretrainOptions, feature_error
from train.runs.checkpoint import load_state
from train.runs.initial import start_from


class Brightness(torch.nn.Module):
    """A stand-in recognition network: how bright the face is in sixteen bands of rows."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(512))

    def forward(self, pixels):
        bands = pixels.mean(dim=(1, 3)).unflatten(1, (16, -1)).mean(dim=2)
        return bands.repeat(1, 32) * self.weight


@pytest.fixture
def pretrained(tiny_copy, tmp_path, monkeypatch):
    identity = Identity(Brightness(), side=112, margin=8)
    monkeypatch.setattr(train.recipes.pretrain, "load_identity", lambda spec: identity)
    options = FitOptions(
        tiny_copy, tmp_path / "pretrained", epochs=8, batch_size=16, average=0.5,
        precision="32-true", device="cpu",
    )  # fmt: skip
    recipe = PretrainOptions(
        network="resnet10-half", identity="stand-in", augmentation=STILL, rate=5e-3
    )
    log = fit("pretrain", options, recipe, read_prepared(tiny_copy), resume=False)
    return options.run, log


def test_the_encoder_learns_to_predict_f_id(pretrained):
    run, log = pretrained
    assert log[-1]["loss_expression"] < 0.5 * log[0]["loss_expression"]
    assert log[-1]["loss_pose"] < 0.7 * log[0]["loss_pose"]
    assert max(row["variance_explained"] for row in log) > 0.5, "1 is all, 0 what a constant has"
    best = load_state(run / "best.safetensors")["log"]
    assert best["variance_explained"] == max(row["variance_explained"] for row in log)


def test_other_recipes_start_from_it(pretrained):
    run, _ = pretrained
    model = FaceModel("resnet10-half", "resnet10-half", 8)
    start_from(run, model)
    theirs = load_state(run / "best.safetensors")["model"]
    for name, tensor in model.expression.encoder.layers.state_dict().items():
        assert torch.equal(tensor, theirs[f"expression.encoder.layers.{name}"]), name


def test_the_error_of_a_constant_is_one():
    target = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    target = (target - target.mean(axis=0)) / target.std(axis=0)
    error = feature_error(torch.zeros(500, 8), torch.from_numpy(target))
    assert float(error) == pytest.approx(1, abs=1e-4)
