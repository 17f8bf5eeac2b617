"""The baseline: an expression branch and a pose branch, each trained on its own labels.

Nothing is disentangled. Every other recipe is measured against this one, so its augmentation,
schedule and averaging are theirs too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from train.data.augmentation import Augmentation, Augmenter
from train.data.batches import Batch
from train.networks.face_model import build_face_model
from train.options import BelowOne, NotNegative, Positive
from train.recipes.described import Method
from train.recipes.losses import labels, mixup, pose_error, soft_cross_entropy, yaw_bin_error
from train.recipes.recipe import Recipe, Update
from train.recipes.schedules import ScheduleName
from train.runs.initial import start_from


@dataclass(frozen=True)
class BaselineOptions:
    """Hyper-parameters of the baseline."""

    network: str = "resnet18-half"
    """Encoder of the expression branch, by its name in train.networks.encoders."""
    pose_network: str = "resnet10-half"
    """Encoder of the pose branch."""
    initial: Path | None = None
    """A run with the same networks, from whose best epoch to start, or its exported file; or
    weights of a recognition network."""
    dropout: BelowOne = 0.3
    """Share of the feature dropped before the expression classifier."""
    mixup: NotNegative = 0.2
    """Parameter of mixup's Beta distribution (Zhang et al. 2018), 0 for none."""
    hard_labels: bool = False
    """Learn the majority's class; without, the distribution of the votes."""
    schedule: ScheduleName = "one-cycle"
    """paper: the rate falls to a tenth after each third of the training."""
    rate: Positive = 2e-3
    """Learning rate, at its peak (one-cycle) or at first (paper)."""
    decay: NotNegative = 0.05
    """Weight decay of AdamW."""
    clip: Positive = 5.0
    """Largest norm of the gradient."""
    augmentation: Augmentation = field(default_factory=Augmentation)


class Baseline(Recipe):
    """Trains both branches of :attr:`model` together."""

    options_type = BaselineOptions
    methods: ClassVar = {"baseline": Method("baseline")}
    betas = (0.9, 0.999)
    """Of Adam; its usual ones."""

    def __init__(self, options: BaselineOptions, classes: tuple[str, ...]):
        super().__init__(options, classes)
        self.model = build_face_model(self.architecture(options, len(classes)))
        self.networks = nn.ModuleDict({"model": self.model})
        self.augment = Augmenter(options.augmentation)

    def setup(self, fabric, steps: int) -> None:
        if self.options.initial:
            start_from(self.options.initial, self.model, faces=self.sample)
        super().setup(fabric, steps)

    def wrap(self, fabric) -> None:
        self.expression, self.pose = map(fabric.setup_module, self.learners())

    def updates(self) -> dict[str, Update]:
        options, weights = self.options, self.model.parameters()
        return {
            "model": Update(
                weights, options.rate, options.schedule, options.clip, options.decay, self.betas
            )
        }

    def learners(self) -> tuple[nn.Module, nn.Module]:
        """What of the expression and of the pose branch learns."""
        return self.model.expression, self.model.pose

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One update of both branches."""
        pixels, pose = self.augment(self.model.expression_input(batch.faces), batch.pose)
        target = labels(batch, self.options.hard_labels)
        mixed, target = mixup(pixels, target, self.options.mixup)
        yaw_logits, angles = self.pose(self.model.pose_pixels(pixels))
        losses = self.expression_losses(mixed, target, batch.label) | {
            "yaw_bin": yaw_bin_error(yaw_logits, batch.yaw_bin, batch.pose_known),
            "pose": pose_error(angles, pose, batch.pose_known),
        }
        self.descend("model", self.total(losses))
        self.advance()
        return losses

    def expression_losses(self, pixels: Tensor, target: Tensor, label: Tensor) -> dict[str, Tensor]:
        """What the expression branch learns from pixels and the distributions (n, classes) they
        show; label: int64 (n,), the majority's class."""
        return {"expression": soft_cross_entropy(self.expression(pixels), target)}

    def total(self, losses: dict[str, Tensor]) -> Tensor:
        """What both branches go down."""
        return reduce(add, losses.values())
