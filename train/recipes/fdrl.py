"""FDRL: Ruan et al., "Feature Decomposition and Reconstruction Learning for Effective Facial
Expression Recognition".

FDN takes the backbone's feature apart into latent features, one for each facial action; FRN weighs
each by itself (Intra-RM) and by the others (Inter-RM) and puts the expression feature together
again. All of it is kept for inference; what training alone has are the centres of two losses.

Equations 1, 3, 4 and 7 to 12 are in train.networks.fdrl, 2, 5 and 6 at the end of this file, and
13 is :meth:`Fdrl.total`. What the paper leaves open is decided in docs/choices.md and said here
where it is done. The pose branch learns beside the method, as in the baseline.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from train.errors import UserError
from train.networks.face_model import Architecture
from train.options import BelowOne, Count, NotNegative, Positive, Share
from train.recipes.baseline import Baseline, BaselineOptions
from train.recipes.described import Method
from train.recipes.losses import soft_cross_entropy, used
from train.recipes.schedules import ScheduleName


@dataclass(frozen=True)
class FdrlOptions(BaselineOptions):
    """Hyper-parameters of FDRL, the paper's where it gives one. A weight of 0 takes a term out."""

    latents: Count = 9
    """M, the number of latent features."""
    latent_dim: Count = 128
    """D, numbers in a latent feature and in the expression feature."""
    delta: Share = 0.5
    """δ, share of the intra-aware feature in the importance-aware one; Inter-RM's is the rest."""
    lambda1: NotNegative = 1e-4
    """Weight of L_C: a latent feature is much the same in all faces."""
    lambda2: NotNegative = 1.0
    """Weight of L_B: no latent feature is more important than another in the mean of a batch."""
    lambda3: NotNegative = 1e-4
    """Weight of L_D: the latent features are equally important in all faces of an expression."""
    fdn: bool = True
    """Use FDN. FRN works on what it finds: without, --no-intra and --no-inter are needed too."""
    intra: bool = True
    """Use Intra-RM, L_B and L_D; without, all latent features have a weight of 1."""
    inter: bool = True
    """Use Inter-RM; without, the expression feature is the sum of the intra-aware ones."""
    dropout: BelowOne = 0.0
    """Share of the expression feature dropped before EPN."""
    mixup: NotNegative = 0.0
    """Parameter of mixup's Beta distribution, 0 for none."""
    hard_labels: bool = True
    """Learn the majority's class; without, the distribution of the votes."""
    schedule: ScheduleName = "fdrl"
    """fdrl: the rate falls to a tenth after 10, 18, 25 and 32 of 40 epochs."""
    rate: Positive = 1e-4
    """Learning rate, at first (fdrl, paper) or at its peak (one-cycle)."""
    decay: NotNegative = 0.0
    """Weight decay of AdamW; Adam as it is without."""

    def lambdas(self) -> tuple[float, float, float]:
        """λ1 to λ3 of equation 13."""
        return self.fdn * self.lambda1, self.intra * self.lambda2, self.intra * self.lambda3


class Fdrl(Baseline):
    """Trains :attr:`model`, whose expression branch is an FdrlBranch, and keeps the centres."""

    options_type = FdrlOptions
    betas = (0.5, 0.999)  # section 4.2; one-cycle moves the first of them by itself
    switches: ClassVar = {"fdn": (), "intra": (), "inter": ()}
    methods: ClassVar = {"fdrl": Method("FDRL")}

    @classmethod
    def architecture(cls, options: FdrlOptions, classes: int) -> Architecture:
        """The usual model with FDN, FRN and EPN in the place of its classifier."""
        architecture = super().architecture(options, classes)
        if not options.fdn:
            return architecture
        head = {"latents": options.latents, "dim": options.latent_dim, "delta": options.delta}
        head |= {"intra": options.intra, "inter": options.inter}
        return dataclasses.replace(architecture, head="fdrl", head_options=head)

    def __init__(self, options: FdrlOptions, classes: tuple[str, ...]):
        if not options.fdn and (options.intra or options.inter):
            raise UserError("FRN works on what FDN finds: --no-fdn needs --no-intra --no-inter.")
        super().__init__(options, classes)
        self.latent_centres = Centres(options.latents, options.latent_dim)
        self.class_centres = Centres(len(classes), options.latents)
        self.centres = nn.ModuleList([self.latent_centres, self.class_centres])
        self.networks["centres"] = self.centres

    def wrap(self, fabric) -> None:
        super().wrap(fabric)
        if self.options.fdn:
            self.expression.mark_forward_method("analyse")

    def expression_losses(self, pixels: Tensor, target: Tensor, label: Tensor) -> dict[str, Tensor]:
        """L_cls, L_C, L_B and L_D, of those in use, unweighted. The centres then follow the batch.

        A mixed face counts as one of the class that has the larger share in it.
        """
        if not self.options.fdn:
            return super().expression_losses(pixels, target, label)
        λ1, λ2, λ3 = self.options.lambdas()
        found = self.expression.analyse(pixels)
        latent, weights = found.latent, found.intra_weights
        losses = used(
            expression=soft_cross_entropy(found.logits, target),
            compactness=compactness_loss(latent, self.latent_centres.values) if λ1 else 0.0,
            balance=balance_loss(weights) if λ2 else 0.0,
            distribution=distribution_loss(weights, label, self.class_centres.values)
            if λ3
            else 0.0,
        )
        if λ1:
            each = torch.arange(latent.shape[1], device=latent.device).expand(latent.shape[:2])
            self.latent_centres.update(latent.flatten(0, 1), each.flatten(), self.fabric)
        if λ3:
            self.class_centres.update(weights, label, self.fabric)
        return losses

    def total(self, losses: dict[str, Tensor]) -> Tensor:
        """L, eq. 13, and the losses of the pose branch beside it."""
        λ1, λ2, λ3 = self.options.lambdas()
        names = "expression", "compactness", "balance", "distribution"
        L_cls, L_C, L_B, L_D = (losses.get(name, 0.0) for name in names)
        L = L_cls + λ1 * L_C + λ2 * L_B + λ3 * L_D
        return L + losses["yaw_bin"] + losses["pose"]


def compactness_loss(latent: Tensor, centres: Tensor) -> Tensor:
    """L_C, eq. 2: latent features (n, M, D) from the centre of each (M, D)."""
    return (latent - centres).square().sum(dim=(1, 2)).mean()


def distribution_loss(weights: Tensor, label: Tensor, centres: Tensor) -> Tensor:
    """L_D, eq. 5: Intra-W (n, M) from the centre (classes, M) of their class, label int64 (n,)."""
    return (weights - centres[label]).square().sum(dim=1).mean()


def balance_loss(weights: Tensor) -> Tensor:
    """L_B, eq. 6: the mean Intra-W vector of a batch (n, M) from equal shares."""
    return (weights.mean(dim=0) - 1 / weights.shape[1]).abs().sum()


class Centres(nn.Module):
    """Means that follow the mini-batches, as those of the center loss do, by which the paper is
    inspired (Wen et al. 2016, eq. 4 and Algorithm 1): no gradient reaches them.

    values: float32 (count, *shape), 0 at first.
    """

    RATE = 0.5  # α of Wen et al., section 4.1
    values: Tensor

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
