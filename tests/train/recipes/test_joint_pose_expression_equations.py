"""Equations 3 to 7 against NumPy."""

import numpy as np
import pytest
import torch

import train.recipes.joint_pose_expression as equations

RANDOM = np.random.default_rng(0)
REAL, FAKE = (RANDOM.normal(size=(5, 1)).astype(np.float32) for _ in range(2))
X, MADE = (RANDOM.random((3, 1, 4, 5), dtype=np.float32) for _ in range(2))


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("value", [equations.attribute_value, equations.identity_value])
def test_equations_3_and_4_are_what_the_discriminators_maximise(value):
    found = value(torch.from_numpy(REAL), torch.from_numpy(FAKE)).item()
    expected = np.log(sigmoid(REAL)).mean() + np.log(1 - sigmoid(FAKE)).mean()
    assert found == pytest.approx(expected, rel=1e-5)
    assert value(torch.tensor([9.0]), torch.tensor([-9.0])) > value(*torch.zeros(2, 1))


def test_the_generator_wants_its_faces_called_real():
    found = equations.deceiving_loss(torch.from_numpy(FAKE)).item()
    assert found == pytest.approx(-np.log(sigmoid(FAKE)).mean(), rel=1e-5)


def test_equation_5_counts_each_face_of_the_enlarged_training_set_alike():
    errors = RANDOM.random((4, 6))  # real, and three times as many generated
    terms = [equations.classifier_term(torch.tensor(each.mean()), 3) for each in errors]
    assert sum(terms).item() == pytest.approx(errors.mean())
    assert equations.classifier_term(torch.tensor(0.7), 0).item() == pytest.approx(0.7)


def test_equation_6_is_the_mean_absolute_difference():
    found = equations.content_loss(torch.from_numpy(X), torch.from_numpy(MADE)).item()
    assert found == pytest.approx(np.abs(X - MADE).mean(), rel=1e-5)


def test_total_variation_counts_both_directions():
    found = equations.variation_loss(torch.from_numpy(MADE)).item()
    down, across = (np.abs(np.diff(MADE, axis=axis)).mean() for axis in (2, 3))
    assert found == pytest.approx(down + across, rel=1e-5)
