"""How often a kind of person smiles in training data, whatever the face in hand shows.

A network learns that too: of two faces that are moved as little it calls the one happy that is a
woman's, since women smile more often in the pictures. It is no more than a prior, and can be taken
out like one (logit adjustment: Menon et al. 2021), here of each kind of person. Of the other
expressions it is left in: rare as they are, what is learnt of them is mostly noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from train.data.prepared import PreparedFaces
from train.errors import UserError

COMPONENTS = 5
"""Numbers that tell the kind of person. More would tell the expression too, which a recognition
network does not quite overlook."""

FRONTAL = 20.0
"""Degrees of yaw up to which a face counts as seen from the front."""

PENALTY = 1e-3
"""Of the regression's squared weights."""


def smiling_prior(f_id: Sequence[np.ndarray], data: PreparedFaces) -> np.ndarray:
    """Log-odds of happiness against neutral for a person of that kind, less those of all people:
    float32 (n, 1), learnt from the training faces that are one or the other.

    f_id: what recognition networks say of the faces, each (n, d). The kind is f_id along the
    directions in which neutral faces seen from the front differ most: these are the person's, for
    neither pose nor expression is left to differ. UserError where there are too few of them.
    """
    try:
        neutral, happiness = (data.classes.index(name) for name in ("neutral", "happiness"))
    except ValueError:
        raise UserError("--person needs classes named neutral and happiness.") from None
    rows = data.rows("train")
    rows = rows[np.isin(data.label[rows], (neutral, happiness))]
    still = rows[data.label[rows] == neutral]
    frontal = still[data.pose_trusted[still] & (np.abs(data.pose[still, 0]) < FRONTAL)]
    if len(frontal) <= COMPONENTS or len(still) == len(rows):
        raise UserError(
            f"--person needs happy training faces and more than {COMPONENTS} neutral ones that "
            "are seen from the front."
        )
    kind = torch.from_numpy(_kinds(f_id, frontal))
    happy = torch.from_numpy(data.label[rows] == happiness).float()
    weight, bias = _regression(kind[rows], happy)
    overall = torch.logit(happy.mean())
    return (kind @ weight + bias - overall)[:, None].numpy()


def without_prior(target: Tensor, prior: Tensor, happiness: int, strength: float) -> Tensor:
    """Distributions (n, classes) as they would be if all kinds of person smiled as often: the odds
    of happiness divided by exp(prior)**strength. prior: (n, 1) of :func:`smiling_prior`."""
    left = target.clone()
    left[:, happiness] *= torch.exp(-strength * prior[:, 0])
    return left / left.sum(dim=1, keepdim=True).clamp(min=1e-12)


def _kinds(f_id: Sequence[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """f_id along the principal components of `rows`, each with a deviation of 1 over them: float32
    (n, components)."""
    unit = np.concatenate([_of_length_1(each) for each in f_id], axis=1)
    mean = unit[rows].mean(axis=0)
    *_, directions = np.linalg.svd(unit[rows] - mean, full_matrices=False)
    kind = (unit - mean) @ directions[:COMPONENTS].T
    return (kind / kind[rows].std(axis=0).clip(min=1e-12)).astype(np.float32)


def _of_length_1(f_id: np.ndarray) -> np.ndarray:
    return f_id / np.linalg.norm(f_id, axis=1, keepdims=True).clip(min=1e-12)


def _regression(kind: Tensor, happy: Tensor) -> tuple[Tensor, Tensor]:
    """Logistic regression: the weight (components,) and the bias."""
    weight, bias = torch.zeros(kind.shape[1]), torch.zeros(())
    parameters = [weight.requires_grad_(), bias.requires_grad_()]
    optimizer = torch.optim.LBFGS(parameters, max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        error = F.binary_cross_entropy_with_logits(kind @ weight + bias, happy)
        error = error + PENALTY * weight.square().sum()
        error.backward()
        return error

    optimizer.step(loss)
    return weight.detach(), bias.detach()
