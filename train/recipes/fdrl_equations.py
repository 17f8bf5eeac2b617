"""The losses of FDRL (Ruan et al.), equations 2, 5, 6 and 13, and the centres they measure from.

The equations of its features are in train.networks.fdrl.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def compactness_loss(latent: Tensor, centres: Tensor) -> Tensor:
    """L_C, eq. 2: latent features (n, M, D) from the centre of each (M, D)."""
    return (latent - centres).square().sum(dim=(1, 2)).mean()


def distribution_loss(weights: Tensor, label: Tensor, centres: Tensor) -> Tensor:
    """L_D, eq. 5: Intra-W (n, M) from the centre (classes, M) of their class, label int64 (n,)."""
    return (weights - centres[label]).square().sum(dim=1).mean()


def balance_loss(weights: Tensor) -> Tensor:
    """L_B, eq. 6: the mean Intra-W vector of a batch (n, M) from equal shares."""
    return (weights.mean(dim=0) - 1 / weights.shape[1]).abs().sum()


def joint_loss(losses: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """L, eq. 13: L_cls + λ1 L_C + λ2 L_B + λ3 L_D, of the last three those in use.

    losses: by the names of `weights`, and L_cls as expression.
    """
    terms = [weight * losses[name] for name, weight in weights.items() if name in losses]
    return losses["expression"] + sum(terms)


class Centres(nn.Module):
    """Means that follow the mini-batches, as those of the center loss do, by which the paper is
    inspired (Wen et al. 2016, eq. 4 and Algorithm 1): no gradient reaches them.

    values: float32 (count, *shape), 0 at first.
    """

    RATE = 0.5  # α of Wen et al., section 4.1

    def __init__(self, count: int, *shape: int):
        super().__init__()
        self.register_buffer("values", torch.zeros(count, *shape))

    @torch.no_grad()
    def update(self, features: Tensor, index: Tensor, fabric) -> None:
        """Move each centre by the half of (sum of its features − centre) / (1 + their number).

        features: (n, *shape). index: int64 (n,), which centre each belongs to; one without any
        stays. Of several processes the features of all count.
        """
        sums = torch.zeros_like(self.values).index_add_(0, index, features - self.values[index])
        counts = torch.bincount(index, minlength=len(sums)).to(sums)
        sums = fabric.all_reduce(sums, reduce_op="sum")
        counts = fabric.all_reduce(counts, reduce_op="sum")
        self.values += self.RATE * sums / (1 + counts.view(-1, *[1] * (sums.dim() - 1)))
