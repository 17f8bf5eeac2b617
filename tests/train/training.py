"""What the tests of several recipes ask of a training."""

import copy
import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import train.fit
from engine.session import open_session
from train.data.augmentation import Augmentation
from train.fit import FitOptions, fit
from train.runs.checkpoint import load_state

STILL = Augmentation(rotation=0, shift=0, zoom=0, light=0, erase=0, blur=0)
"""No augmentation but mirroring."""


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file with a header."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def fit_options(data, run, **changes) -> FitOptions:
    """Two short epochs, the same on every machine."""
    defaults = {"epochs": 2, "batch_size": 16, "precision": "32-true", "device": "cpu"}
    return FitOptions(data, run, **(defaults | changes))


def fit_interrupted(monkeypatch, recipe_name, how, options, data) -> None:
    """Train until Ctrl-C comes right after the first epoch was kept, then resume."""
    keep = train.fit._keep

    def keep_and_stop(*everything):
        keep(*everything)
        raise KeyboardInterrupt

    monkeypatch.setattr(train.fit, "_keep", keep_and_stop)
    with pytest.raises(KeyboardInterrupt):
        fit(recipe_name, how, options, data, resume=False)
    monkeypatch.setattr(train.fit, "_keep", keep)
    fit(recipe_name, how, options, data, resume=True)


def assert_same(one: dict, other: dict) -> None:
    """Both hold the same tensors under the same names, bit for bit."""
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def assert_same_end(one, other, *parts) -> tuple[dict, dict]:
    """Two runs end with the same averaged weights and the same `parts` of the recipe's state, which
    is returned of both."""
    ends = [load_state(run / "last.safetensors") for run in (one, other)]
    assert_same(*(end["averaged"] for end in ends))
    for part in parts:
        assert_same(*(end["recipe"][part] for end in ends))
    return tuple(end["recipe"] for end in ends)


def assert_file_agrees(path, model, faces: np.ndarray) -> None:
    """The exported file, with weights that are not rounded, says of grey faces, given as RGB, what
    torch says of them as they are."""
    with torch.no_grad():
        expected = model(torch.from_numpy(faces))
    with open_session(path) as session:
        found = session.run({"faces": np.repeat(faces, 3, axis=3)})
    np.testing.assert_allclose(found["expression"], expected.expression.softmax(1), atol=1e-4)
    np.testing.assert_allclose(found["pose"], expected.pose, atol=1e-2)


def changed_by(parts: dict[str, torch.nn.Module], update) -> set[str]:
    """Names of the parts whose weights or statistics the update changes."""
    states = {name: part.state_dict() for name, part in parts.items()}
    before = copy.deepcopy(states)
    update()
    return {
        name
        for name, state in states.items()
        if any(not torch.equal(value, before[name][key]) for key, value in state.items())
    }
