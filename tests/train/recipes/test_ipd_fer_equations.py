"""The equations against numbers worked out by hand."""

import math

import pytest
import torch

import train.recipes.ipd_fer as equations
from tests.train.recipes.test_ipd_fer import make_recipe, one_sample, totals

LN = math.log


def test_equation_1_counts_the_neutral_face_only_where_the_input_is_neutral():
    x = torch.zeros(2, 1, 2, 2)
    x_ipe = torch.tensor([0.5, 0.1]).view(2, 1, 1, 1).expand_as(x)
    x_ip = torch.tensor([0.2, 0.8]).view(2, 1, 1, 1).expand_as(x)
    loss = equations.reconstruction_loss(x_ipe, x_ip, x + 0.0, torch.tensor([True, False]))
    assert loss.item() == pytest.approx((0.5 + 0.1) / 2 + 0.2 / 2)


def test_equation_2_compares_both_synthesised_faces_with_the_real_one():
    n_ipe, n_ip, n_x = (torch.tensor([[a, b]]) for a, b in ((1.0, 4.0), (0.0, 1.0), (0.0, 1.0)))
    assert equations.identity_loss(n_ipe, n_ip, n_x).item() == pytest.approx(2.0)
    assert equations.identity_loss(n_ip, n_ipe, n_x).item() == pytest.approx(2.0)


def test_equation_3_is_blind_to_the_cosines_sign():
    f_id = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    f_exp = torch.tensor([[-3.0, 4.0], [0.0, 2.0]])
    assert equations.cosine_loss(f_id, f_exp).item() == pytest.approx(0.6 / 2)


def test_equation_4_is_least_for_equal_shares():
    logits = torch.tensor([[0.0, LN(3)]])
    expected = -(LN(0.25) + LN(0.75)) / 2
    assert equations.confusion_loss(logits).item() == pytest.approx(expected)
    assert equations.confusion_loss(torch.zeros(3, 5)).item() == pytest.approx(LN(5))


@pytest.mark.parametrize(
    "loss", [equations.expression_loss, equations.real_loss, equations.synthesis_loss]
)
def test_equations_5_8_and_10_are_cross_entropies(loss):
    logits = torch.tensor([[0.0, LN(3)], [0.0, LN(3)]])
    hard = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert loss(logits, hard).item() == pytest.approx(-(LN(0.75) + LN(0.25)) / 2)
    votes = torch.tensor([[0.4, 0.6], [0.4, 0.6]])
    assert loss(logits, votes).item() == pytest.approx(-0.6 * LN(0.75) - 0.4 * LN(0.25))


def test_equation_6_leaves_out_unknown_poses():
    logits = torch.tensor([[0.0, LN(3)], [0.0, LN(3)], [5.0, 0.0]])
    bins, known = torch.tensor([1, 0, 1]), torch.tensor([True, True, False])
    expected = -(LN(0.75) + LN(0.25)) / 2
    assert equations.pose_loss(logits, bins, known).item() == pytest.approx(expected)


def test_equation_9_asks_for_neutral_whatever_the_input():
    logits = torch.tensor([[0.0, LN(3)], [0.0, LN(7)]])
    expected = -(LN(0.75) + LN(7 / 8)) / 2
    assert equations.neutral_loss(logits, neutral=1).item() == pytest.approx(expected)


NUMBERS = {
    "expression_loss": 1.25,
    "pose_loss": 0.5,
    "pose_error": 0.125,
    "neutral_loss": 2.0,
    "synthesis_loss": 3.0,
    "identity_loss": 5.0,
    "reconstruction_loss": 7.0,
    "cosine_loss": 0.4,
    "confusion_loss": 0.25,
}


@pytest.fixture
def found(data, tiny_data, monkeypatch):
    """What both updates go down where the losses are these numbers."""
    recipe = make_recipe(data, tiny_data)
    sample = one_sample(recipe, data)
    for name, number in NUMBERS.items():
        monkeypatch.setattr(equations, name, lambda *_, number=number: torch.tensor(number))
    return totals(recipe, sample)


@pytest.mark.usefixtures("stand_in_identity")
def test_equation_7_is_the_sum_and_line_2_adds_the_cosine(found):
    assert found["classifiers"] == pytest.approx(1.25 + 0.5 + 0.125 + 0.5 * 0.4)


@pytest.mark.usefixtures("stand_in_identity")
def test_equations_11_and_12_weigh_every_term_once(found):
    generative = 0.001 * 2 + 0.001 * 3 + 1 * 5 + 10 * 7
    l_c = 1.25 + 0.5 + 0.125
    assert found["G"] == pytest.approx(generative + l_c + 0.5 * 0.4 + 1 * 0.25)
