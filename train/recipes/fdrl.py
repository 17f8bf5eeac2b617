"""FDRL: Ruan et al., "Feature Decomposition and Reconstruction Learning for Effective Facial
Expression Recognition".

FDN takes the backbone's feature apart into latent features, one for each facial action; FRN weighs
each by itself (Intra-RM) and by the others (Inter-RM) and puts the expression feature together
again. All of it is kept for inference; what training alone has are the centres of two losses.

Equations 1, 3, 4 and 7 to 12 are in train.networks.fdrl, 2, 5, 6 and 13 in
train.recipes.fdrl_equations. What the paper leaves open is decided in train/README.md and said here
where it is done. The pose branch learns beside the method, as in the baseline.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.errors import UserError
from train.networks.face_model import Architecture
from train.options import BelowOne, Count, NotNegative, Positive, Share
from train.recipes.baseline import Baseline, BaselineOptions, soft_cross_entropy
from train.recipes.fdrl_equations import (
    Centres,
    balance_loss,
    compactness_loss,
    distribution_loss,
    joint_loss,
)
from train.recipes.schedules import ScheduleName


@dataclass(frozen=True)
class FdrlOptions(BaselineOptions):
    """Hyper-parameters of FDRL; the paper's values where it gives one."""

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

    def lambdas(self) -> dict[str, float]:
        """Weights of equation 13, by the names of the losses."""
        return {
            "compactness": self.lambda1,
            "balance": self.lambda2,
            "distribution": self.lambda3,
        }


class Fdrl(Baseline):
    """Trains :attr:`model`, whose expression branch is an FdrlBranch, and keeps the centres."""

    options_type = FdrlOptions
    betas = (0.5, 0.999)  # section 4.2; one-cycle moves the first of them by itself

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

    def setup(self, fabric, steps: int) -> None:
        super().setup(fabric, steps)
        self.centres.to(fabric.device)
        if self.options.fdn:
            self.expression.mark_forward_method("analyse")

    def expression_losses(self, pixels: Tensor, target: Tensor, label: Tensor) -> dict[str, Tensor]:
        """L_cls, L_C, L_B and L_D, of those in use, unweighted. The centres then follow the batch.

        A mixed face counts as one of the class that has the larger share in it.
        """
        if not self.options.fdn:
            return super().expression_losses(pixels, target, label)
        found = self.expression.analyse(pixels)
        losses = {
            "expression": soft_cross_entropy(found.logits, target),
            "compactness": compactness_loss(found.latent, self.latent_centres.values),
        }
        self._follow_latents(found.latent)
        if self.options.intra:
            weights = found.intra_weights
            losses["balance"] = balance_loss(weights)
            losses["distribution"] = distribution_loss(weights, label, self.class_centres.values)
            self.class_centres.update(weights, label, self.fabric)
        return losses

    def _follow_latents(self, latent: Tensor) -> None:
        each = torch.arange(latent.shape[1], device=latent.device).expand(latent.shape[:2])
        self.latent_centres.update(latent.flatten(0, 1), each.flatten(), self.fabric)

    def update(self, losses: dict[str, Tensor]) -> None:
        """Go one step down L, eq. 13, and the losses of the pose branch beside it."""
        joint = joint_loss(losses, self.options.lambdas())
        super().update({"joint": joint, "yaw_bin": losses["yaw_bin"], "pose": losses["pose"]})

    def state(self) -> dict:
        return super().state() | {"centres": self.centres.state_dict()}

    def load_state(self, state: dict) -> None:
        super().load_state(state)
        self.centres.load_state_dict(state["centres"])
