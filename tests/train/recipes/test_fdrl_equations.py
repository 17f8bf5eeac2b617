from types import SimpleNamespace

import numpy as np
import pytest
import torch

import train.networks.fdrl as networks
import train.recipes.fdrl as equations
from train.networks.fdrl import Decompose, EachLatent
from train.recipes.fdrl import Centres, Fdrl, FdrlOptions

random = np.random.default_rng(0)


class OneProcess:
    """Instead of Lightning Fabric."""

    def all_reduce(self, value, reduce_op):
        return value


def floats(*shape) -> np.ndarray:
    return random.normal(size=shape).astype(np.float32)


def tensors(*arrays):
    return [torch.from_numpy(array) for array in arrays]


# The equations, against NumPy: 3 faces, 4 latent features of 5 numbers, 2 classes.


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def each_latent(features, layer: EachLatent):
    """Its linear layers one by one, each on its own latent feature."""
    weight, bias = (each.detach().numpy() for each in layer.layer.parameters())
    weight, bias = weight.reshape(4, 5, 5), bias.reshape(4, 5)
    parts = [features[:, j] @ weight[j].T + bias[j] for j in range(4)]
    return np.stack(parts, axis=1)


def test_equation_1_is_a_layer_of_its_own_for_each_latent_feature_and_relu():
    layer, basic = Decompose(7, 4, 5), floats(3, 7)
    weight, bias = (each.detach().numpy() for each in layer.layer.parameters())
    expected = np.zeros((3, 4, 5))
    for j in range(4):
        own = slice(5 * j, 5 * j + 5)
        expected[:, j] = np.maximum(basic @ weight[own].T + bias[own], 0)
    found = networks.latent_features(torch.from_numpy(basic), layer)
    assert (expected == 0).any()
    np.testing.assert_allclose(found.detach(), expected, atol=1e-6)


def test_equations_3_and_4_are_sigmoids_and_their_sum():
    layer, latent = EachLatent(4, 5), floats(3, 4, 5)
    expected = sigmoid(each_latent(latent, layer))
    found = networks.importance(torch.from_numpy(latent), layer)
    np.testing.assert_allclose(found.detach(), expected, atol=1e-6)
    weights = networks.intra_weights(found)
    np.testing.assert_allclose(weights.detach(), expected.sum(axis=2), atol=1e-5)
    assert networks.intra_weights(torch.tensor([[[-1.0, 2.0]]])).item() == 3, "it is a norm"


def test_equation_7_weighs_each_latent_feature_as_a_whole():
    latent, weights = floats(3, 4, 5), floats(3, 4)
    found = networks.intra_aware_features(*tensors(latent, weights))
    for i, j in np.ndindex(3, 4):
        np.testing.assert_allclose(found[i, j], weights[i, j] * latent[i, j], atol=1e-6)


def test_equation_8_is_a_layer_and_relu():
    layer, features = EachLatent(4, 5), floats(3, 4, 5)
    found = networks.relation_messages(torch.from_numpy(features), layer)
    np.testing.assert_allclose(
        found.detach(), np.maximum(each_latent(features, layer), 0), atol=1e-6
    )


def test_equations_9_to_12_pass_messages():
    messages, intra_aware = floats(3, 4, 5), floats(3, 4, 5)
    omega = np.zeros((3, 4, 4))
    for i, j, m in np.ndindex(omega.shape):
        if j != m:
            omega[i, j, m] = np.tanh(np.linalg.norm(messages[i, j] - messages[i, m]))
    weights = networks.inter_weights(torch.from_numpy(messages))
    np.testing.assert_allclose(weights, omega, atol=1e-6)
    assert (weights.diagonal(dim1=1, dim2=2) == 0).all()

    inter_aware = np.zeros((3, 4, 5))
    for i, j, m in np.ndindex(omega.shape):
        inter_aware[i, j] += omega[i, j, m] * messages[i, m]
    found = networks.inter_aware_features(weights, torch.from_numpy(messages))
    np.testing.assert_allclose(found, inter_aware, atol=1e-5)

    joined = networks.importance_aware_features(torch.from_numpy(intra_aware), found, delta=0.3)
    np.testing.assert_allclose(joined, 0.3 * intra_aware + 0.7 * inter_aware, atol=1e-5)
    feature = networks.expression_feature(joined)
    expected = sum(0.3 * intra_aware[:, j] + 0.7 * inter_aware[:, j] for j in range(4))
    np.testing.assert_allclose(feature, expected, atol=1e-5)


def test_messages_that_are_alike_have_a_gradient():
    messages = torch.zeros(2, 4, 5, requires_grad=True)
    networks.inter_weights(messages).sum().backward()
    assert messages.grad.isfinite().all(), "the root of 0 has none"


def test_equation_2_measures_from_the_centre_of_each_latent_feature():
    latent, centres = floats(3, 4, 5), floats(4, 5)
    expected = 0.0
    for i, j in np.ndindex(3, 4):
        expected += np.linalg.norm(latent[i, j] - centres[j]) ** 2 / 3
    assert equations.compactness_loss(*tensors(latent, centres)).item() == pytest.approx(expected)


def test_equation_5_measures_from_the_centre_of_the_class():
    weights, label, centres = floats(3, 4), np.array([1, 0, 1]), floats(2, 4)
    expected = np.mean([np.sum((weights[i] - centres[k]) ** 2) for i, k in enumerate(label)])
    found = equations.distribution_loss(*tensors(weights, label, centres))
    assert found.item() == pytest.approx(expected)


def test_equation_6_is_about_the_mean_of_the_batch():
    weights = floats(3, 4)
    expected = np.abs(weights.mean(axis=0) - 0.25).sum()
    assert equations.balance_loss(torch.from_numpy(weights)).item() == pytest.approx(expected)
    apart = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert equations.balance_loss(apart).item() == 0, "single faces may differ"


def test_equation_13_weighs_every_term():
    names = ("expression", "compactness", "balance", "distribution", "yaw_bin", "pose")
    losses = dict(zip(names, torch.tensor([2.0, 3000.0, 0.5, 7000.0, 11.0, 13.0]), strict=True))
    recipe = SimpleNamespace(options=FdrlOptions())
    pose = 11 + 13
    assert Fdrl.total(recipe, losses).item() == pytest.approx(2 + 0.3 + 0.5 + 0.7 + pose)
    del losses["balance"], losses["distribution"]
    assert Fdrl.total(recipe, losses).item() == pytest.approx(2.3 + pose)


def test_centres_go_half_of_the_way_that_the_center_loss_has_them_go():
    centres = Centres(3, 2)
    centres.values[:] = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    before = centres.values.numpy().copy()
    features, index = floats(5, 2), np.array([0, 2, 0, 0, 2])
    expected = before.copy()
    for k in range(3):
        own = features[index == k]
        expected[k] -= 0.5 * (before[k] - own).sum(axis=0) / (1 + len(own))
    centres.update(*tensors(features, index), OneProcess())
    np.testing.assert_allclose(centres.values, expected, atol=1e-6)
    assert (centres.values[1] == torch.tensor([3.0, 4.0])).all(), "nothing of its class came"
