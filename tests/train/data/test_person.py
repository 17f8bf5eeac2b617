import dataclasses

import numpy as np
import pytest
import torch

from train.data.person import smiling_prior, without_prior
from train.data.prepared import read_prepared
from train.errors import UserError


@pytest.fixture
def two_kinds(tiny_data):
    """400 frontal faces of two kinds of person: of the first 80 % smile, of the second 20 %; and
    f_id that tells them apart among much else."""
    data, random = read_prepared(tiny_data), np.random.default_rng(0)
    kind = np.arange(400) % 2
    happy = random.random(400) < np.where(kind, 0.2, 0.8)
    label = np.where(happy, data.classes.index("happiness"), data.classes.index("neutral"))
    f_id = random.normal(0, 0.1, (400, 32))
    f_id[:, 3] += np.where(kind, 3, -3)
    zeros = np.zeros(400, np.float32)
    made = dataclasses.replace(
        data, faces=np.zeros((400, 1), np.uint8), ids=np.arange(400).astype(str),
        split=np.array(["train"] * 300 + ["test"] * 100), label=label.astype(np.int64),
        votes=np.zeros((400, len(data.classes)), np.float32), pose=np.zeros((400, 3), np.float32),
        pose_trusted=np.ones(400, bool), rotation=zeros,
    )  # fmt: skip
    return made, kind, f_id


def test_the_log_odds_are_those_of_the_kind_of_person(two_kinds):
    data, kind, f_id = two_kinds
    prior = smiling_prior([f_id], data)[:, 0]
    first, second = prior[(kind == 0)], prior[(kind == 1)]
    # log(0.8 / 0.2) either way, less than half of which the penalty and chance may take.
    assert first.mean() == pytest.approx(1.39, abs=0.4)
    assert second.mean() == pytest.approx(-1.39, abs=0.4)
    assert prior[300:].std() > 1, "faces that were not learnt from have one too"


def test_networks_that_see_no_kind_find_none(two_kinds):
    data, _, f_id = two_kinds
    noise = np.random.default_rng(1).normal(size=f_id.shape)
    assert np.abs(smiling_prior([noise], data)).mean() < 0.4


def test_two_networks_tell_more_than_one(two_kinds):
    data, kind, f_id = two_kinds
    noise = np.random.default_rng(1).normal(size=f_id.shape)
    both = smiling_prior([noise, f_id], data)[:, 0]
    assert both[kind == 0].mean() - both[kind == 1].mean() > 2


def test_without_happy_or_neutral_faces_there_is_one_clear_line(two_kinds):
    data, _, f_id = two_kinds
    still = dataclasses.replace(data, label=np.zeros_like(data.label))
    with pytest.raises(UserError, match="--person needs happy training faces"):
        smiling_prior([f_id], still)
    others = dataclasses.replace(data, classes=("calm", *data.classes[1:]))
    with pytest.raises(UserError, match="classes named neutral and happiness"):
        smiling_prior([f_id], others)


def test_taking_the_prior_out_divides_the_odds_of_happiness_alone():
    target = torch.tensor([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
    prior = torch.tensor([[np.log(2.0)], [1.0]], dtype=torch.float32)
    found = without_prior(target, prior, happiness=1, strength=2.0)
    assert found[0, 1] / found[0, 0] == pytest.approx(0.5 / 4)
    assert found[0, 2] / found[0, 0] == pytest.approx(0.5)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(2))
    assert found[1].tolist() == [0, 1, 0], "what is certain stays so"
