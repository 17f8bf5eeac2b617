import numpy as np
import pytest
import torch

import train.networks.fdrl as networks
from tests.train.recipes.test_fdrl import make_recipe
from train.networks.face_model import build_face_model
from train.recipes.fdrl import Fdrl, FdrlOptions


def test_the_shapes_are_the_papers():
    options = FdrlOptions(network="resnet18", pose_network="resnet18")
    branch = build_face_model(Fdrl.architecture(options, 7)).eval().expression
    assert branch.encoder.feature_dim == branch.decompose.layer.in_features == 512
    with torch.no_grad():
        found = branch.analyse(torch.rand(2, 3, 112, 112))
        feature, logits = branch.describe(torch.rand(2, 3, 112, 112))
    assert found.latent.shape == (2, 9, 128) and found.intra_weights.shape == (2, 9)
    assert found.feature.shape == feature.shape == (2, 128)
    assert found.logits.shape == logits.shape == (2, 7)
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in
             branch.named_children() if name != "encoder"}  # fmt: skip
    each = 9 * (128 * 128 + 128)
    expected = {"decompose": 9 * (512 * 128 + 128), "intra": each, "inter": each, "dropout": 0}
    assert sizes == expected | {"classifier": 128 * 7 + 7}


def test_intra_weights_start_where_the_balance_loss_wants_them(data):
    branch = make_recipe(data).model.expression.eval()
    with torch.no_grad():
        weights = branch.analyse(torch.rand(4, 1, 56, 56)).intra_weights
    np.testing.assert_allclose(weights, 1 / 9, atol=0.05)


def by_hand(branch, pixels) -> np.ndarray:
    """The expression feature, equation after equation, with the modules in use."""
    latent = networks.latent_features(branch.encoder(pixels), branch.decompose)
    features = latent
    if branch.intra:
        features = networks.importance(latent, branch.intra).sum(dim=2)[..., None] * latent
    if branch.inter:
        messages = branch.inter(features).relu()
        related = networks.inter_weights(messages) @ messages
        features = branch.delta * features + (1 - branch.delta) * related
    return features.sum(dim=1).numpy()


ROWS = {
    "FDN": {"intra": False, "inter": False},
    "FDN, Inter-RM": {"intra": False},
    "FDN, Intra-RM": {"inter": False},
    "FDRL": {},
}


@pytest.mark.parametrize("row", ROWS)
@torch.no_grad()
def test_the_rows_of_table_2_compute_what_they_say(row, data):
    branch = make_recipe(data, delta=0.3, **ROWS[row]).model.expression.eval()
    pixels = torch.rand(2, 1, 56, 56)
    found = branch.analyse(pixels)
    np.testing.assert_allclose(found.feature, by_hand(branch, pixels), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.logits, branch.classifier(found.feature), atol=1e-5)
    assert (found.intra_weights is None) == (branch.intra is None)
    assert torch.equal(branch(pixels), found.logits)
