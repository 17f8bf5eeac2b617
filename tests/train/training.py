"""What the tests of several recipes ask of a training."""

import copy

import pytest
import torch

import train.loop
from train.loop import fit


def fit_interrupted(monkeypatch, recipe_name, how, options, data) -> None:
    """Train until Ctrl-C comes right after the first epoch was kept, then resume."""
    keep = train.loop._keep

    def keep_and_stop(*everything):
        keep(*everything)
        raise KeyboardInterrupt

    monkeypatch.setattr(train.loop, "_keep", keep_and_stop)
    with pytest.raises(KeyboardInterrupt):
        fit(recipe_name, how, options, data, resume=False)
    monkeypatch.setattr(train.loop, "_keep", keep)
    fit(recipe_name, how, options, data, resume=True)


def assert_same(one: dict, other: dict) -> None:
    """Both hold the same tensors under the same names, bit for bit."""
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


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
