"""A tiny dataset and a tiny run, made once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")

import onnx
import torch
from torch import nn

import train.export.face
import train.recipes.ipd_fer as ipd_fer
from realtime.align import FACE_SIZE, TEMPLATE
from realtime.faces import EXPRESSIONS
from tests.train.people import write_people
from train.data.prepared import LabelledFace, read_prepared, write_prepared
from train.export.lean import round_weights
from train.fit import FitOptions, fit
from train.networks.identity import Identity
from train.recipes.baseline import BaselineOptions


def tiny_rows(count: int, seed: int = 0):
    """Faces whose class is a bright bar at a height of its own; every fourth is for validation."""
    random = np.random.default_rng(seed)
    for index in range(count):
        label = index % 4
        face = random.integers(0, 60, (FACE_SIZE, FACE_SIZE, 1), dtype=np.uint8)
        face[20 + 20 * label : 34 + 20 * label] += 180
        votes = [0] * len(EXPRESSIONS)
        votes[label] = 10
        split = ("train", "train", "test", "validation")[index // 4 % 4]
        yaw = float(random.uniform(-50, 50))
        row = LabelledFace(
            f"face{index}", split, EXPRESSIONS[label], tuple(votes), (yaw, 5.0, -3.0),
            index % 5 > 0, 7.0, TEMPLATE,
        )  # fmt: skip
        yield row, face


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """128 made-up faces of four classes in the prepared format, on disk."""
    folder = tmp_path_factory.mktemp("prepared")
    write_prepared(folder, "made up", EXPRESSIONS, "made up", tiny_rows(128), 128, channels=1)
    return folder


@pytest.fixture(scope="module")
def data(tiny_data):
    """The same, read; do not change them."""
    return read_prepared(tiny_data)


@pytest.fixture
def tiny_copy(tiny_data, tmp_path):
    """A copy of them, for tests that write beside the faces."""
    without = shutil.ignore_patterns("identity-*")
    return shutil.copytree(tiny_data, tmp_path / "prepared", ignore=without)


@pytest.fixture(scope="session")
def tiny_run(tiny_data, tmp_path_factory):
    """A baseline trained on them for three epochs with a small network."""
    options = FitOptions(
        tiny_data, tmp_path_factory.mktemp("runs") / "tiny", epochs=3, batch_size=16,
        average=0.5, precision="32-true", device="cpu",
    )  # fmt: skip
    recipe = BaselineOptions(network="resnet10-half", dropout=0.0, mixup=0.0)
    fit("baseline", options, recipe, read_prepared(tiny_data), resume=False)
    return options.run


class Exported(NamedTuple):
    """A model file, and the same with the weights as they were learnt, not rounded."""

    path: Path
    unrounded: Path


@pytest.fixture(scope="session")
def exported(tiny_run, tmp_path_factory):
    """The file of the tiny run, which is not calibrated; torch takes seconds for one."""
    folder = tmp_path_factory.mktemp("models")
    found = Exported(folder / "tiny.onnx", folder / "unrounded.onnx")

    def round_a_copy(file):
        onnx.save(file, found.unrounded)
        round_weights(file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train.export.face, "round_weights", round_a_copy)
        train.export.face.export_run(tiny_run, found.path)
    return found


class Patches(nn.Module):
    """A stand-in recognition network: 512 fixed random views of the face, coarsely seen."""

    def __init__(self):
        super().__init__()
        views = torch.randn(512, 48, generator=torch.Generator().manual_seed(0))
        self.weight = nn.Parameter(views / 7)

    def forward(self, pixels):
        return nn.functional.adaptive_avg_pool2d(pixels, 4).flatten(1) @ self.weight.T


def load_stand_in(spec: str) -> Identity:
    """E_id and N of IPD-FER, whatever --identity says."""
    return Identity(Patches(), 112, 8)


@pytest.fixture(scope="module")
def stand_in_identity():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ipd_fer, "load_identity", load_stand_in)
        yield


@pytest.fixture
def unrounded(monkeypatch):
    """Exported files keep the weights as they were learnt, and so agree with torch closely."""
    monkeypatch.setattr(train.export.face, "round_weights", lambda file: None)


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    """Made-up faces of several people in the prepared format, on disk; do not change them."""
    return write_people(tmp_path_factory.mktemp("prepared") / "people")
