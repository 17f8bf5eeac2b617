"""Equations 5 to 12 against numbers worked out by hand. Logits (0, ln 3) are shares of ¼ and ¾."""

import math

import pytest
import torch

import train.recipes.tdgan as equations
from train.recipes.tdgan import TdganOptions

LN = math.log
QUARTERS = torch.tensor([[0.0, LN(3)]])


def test_the_defaults_are_the_papers():
    options = TdganOptions()
    assert (options.lambda_gf, options.lambda_ge) == (0.2, 0.8)
    assert (options.lambda_d, options.lambda_p) == (5.0, 1.0)
    assert options.gan and options.dic and options.perceptual is None


def test_equation_5_wants_the_person_in_real_faces_and_the_last_class_in_made_ones():
    # Shares of two people and of fake: real (½, ¼, ¼), made (⅕, ⅖, ⅖) and (⅗, ⅕, ⅕).
    real = torch.tensor([[LN(2), 0.0, 0.0]])
    made = torch.tensor([[0.0, LN(2), LN(2)], [LN(3), 0.0, 0.0]])
    found = equations.face_value(real, torch.tensor([0]), made).item()
    assert found == pytest.approx(LN(0.5) + (LN(0.4) + LN(0.2)) / 2)
    other = equations.face_value(real, torch.tensor([1]), made).item()
    assert other == pytest.approx(LN(0.25) + (LN(0.4) + LN(0.2)) / 2)


def test_equation_5_wants_the_expression_in_real_faces():
    assert equations.expression_value(QUARTERS, torch.tensor([1])).item() == pytest.approx(LN(0.75))
    votes = torch.tensor([[0.4, 0.6]])
    expected = 0.4 * LN(0.25) + 0.6 * LN(0.75)
    assert equations.expression_value(QUARTERS, votes).item() == pytest.approx(expected)


def test_a_surer_discriminator_has_more_of_equation_5():
    sure = torch.tensor([[9.0, 0.0, 0.0]]), torch.tensor([0]), torch.tensor([[0.0, 0.0, 9.0]])
    vague = sure[0] / 9, sure[1], sure[2] / 9
    assert equations.face_value(*sure) > equations.face_value(*vague)


def test_equation_6_weighs_both_discriminators_and_is_a_loss():
    on_person, on_expression = torch.tensor(-2.0), torch.tensor(-5.0)
    found = equations.classification_loss(on_person, on_expression, (0.2, 0.8)).item()
    assert found == pytest.approx(0.2 * 2 + 0.8 * 5)


def test_equation_7_compares_both_reconstructions_with_their_own_inputs():
    one = torch.ones(2, 1, 3, 3)
    i_f, i_e, remade_f, remade_e = 0.1 * one, 0.9 * one, 0.3 * one, 0.4 * one
    found = equations.consistency_loss(remade_f, i_f, remade_e, i_e, 5.0).item()
    assert found == pytest.approx(5 * (0.2 + 0.5))
    assert equations.consistency_loss(i_f, i_f, i_e, i_e, 5.0).item() == 0


def test_equation_8_is_the_mean_distance_of_the_representations():
    d_f, d_gf = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 5.0]])
    assert equations.perceptual_loss(d_f, d_gf, 0.5).item() == pytest.approx(0.5 * 2)


def test_equation_8_draws_at_both_representations():
    d_f, d_gf = torch.zeros(1, 2, requires_grad=True), torch.ones(1, 2, requires_grad=True)
    equations.perceptual_loss(d_f, d_gf, 1.0).backward()
    assert d_f.grad.tolist() == [[-0.5, -0.5]] and d_gf.grad.tolist() == [[0.5, 0.5]]


def test_equation_10_is_the_cross_entropy():
    logits = QUARTERS.repeat(2, 1)
    found = equations.recognition_loss(logits, torch.tensor([0, 1])).item()
    assert found == pytest.approx(-(LN(0.25) + LN(0.75)) / 2)
    votes = torch.tensor([[0.4, 0.6]] * 2)
    found = equations.recognition_loss(logits, votes).item()
    assert found == pytest.approx(-0.4 * LN(0.25) - 0.6 * LN(0.75))


@pytest.mark.parametrize(
    "interpolate", [equations.interpolated_expression, equations.interpolated_face]
)
def test_equations_11_and_12_go_from_the_first_to_the_second(interpolate):
    first, second = torch.tensor([2.0]), torch.tensor([10.0])
    found = [interpolate(first, second, share).item() for share in (0, 0.25, 1)]
    assert found == [2, 4, 10]
