"""The baseline: an expression branch and a pose branch, each trained on its own labels.

Nothing is disentangled. Every other recipe is measured against this one, so its augmentation,
schedule and averaging are theirs too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.data.augmentation import Augmentation, Augmenter
from train.data.batches import Batch
from train.networks.face_model import POSE_SCALE, build_face_model
from train.options import BelowOne, NotNegative, Positive
from train.recipes.recipe import Recipe
from train.recipes.schedules import ScheduleName, make_schedule
from train.runs.initial import start_from


@dataclass(frozen=True)
class BaselineOptions:
    """Hyper-parameters of the baseline."""

    network: str = "resnet18-half"
    """Encoder of the expression branch, by its name in train.networks.encoders."""
    pose_network: str = "resnet10-half"
    """Encoder of the pose branch."""
    initial: Path | None = None
    """A run with the same networks, from whose best epoch to start."""
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
    betas = (0.9, 0.999)
    """Of Adam; its usual ones."""

    def __init__(self, options: BaselineOptions, classes: tuple[str, ...]):
        self.options = options
        self.model = build_face_model(self.architecture(options, len(classes)))
        self.augment = Augmenter(options.augmentation)

    def setup(self, fabric, steps: int) -> None:
        options = self.options
        self.fabric = fabric
        if options.initial:
            start_from(options.initial, self.model)
        self.model.to(fabric.device, memory_format=torch.channels_last)
        self.expression, self.pose = map(fabric.setup_module, self.learners())
        optimizer = torch.optim.AdamW(
            self.model.parameters(), options.rate, self.betas, weight_decay=options.decay
        )
        self.schedule = make_schedule(options.schedule, optimizer, steps)
        self.optimizer = fabric.setup_optimizers(optimizer)

    def learners(self) -> tuple[nn.Module, nn.Module]:
        """What of the expression and of the pose branch learns."""
        return self.model.expression, self.model.pose

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One update of both branches."""
        pixels, pose = self.augment(self.model.expression_input(batch.faces), batch.pose)
        target = majority(batch) if self.options.hard_labels else batch.target
        mixed, target = mixup(pixels, target, self.options.mixup)
        yaw_logits, angles = self.pose(self.model.pose_pixels(pixels))
        losses = self.expression_losses(mixed, target, batch.label) | {
            "yaw_bin": yaw_bin_error(yaw_logits, batch.yaw_bin, batch.pose_known),
            "pose": pose_error(angles, pose, batch.pose_known),
        }
        self.update(losses)
        return losses

    def expression_losses(self, pixels: Tensor, target: Tensor, label: Tensor) -> dict[str, Tensor]:
        """What the expression branch learns from pixels and the distributions (n, classes) they
        show; label: int64 (n,), the majority's class."""
        return {"expression": soft_cross_entropy(self.expression(pixels), target)}

    def update(self, losses: dict[str, Tensor]) -> None:
        """Go one step down the sum of the losses."""
        self.fabric.backward(sum(losses.values()))
        # What is not finite is reported by the loop, which knows of every recipe's losses.
        self.fabric.clip_gradients(
            self.model, self.optimizer, max_norm=self.options.clip, error_if_nonfinite=False
        )
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()

    def state(self) -> dict:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def load_state(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])


def majority(batch: Batch) -> Tensor:
    """The majority's class of each face as a distribution, float32 (n, classes)."""
    return F.one_hot(batch.label.clamp(min=0), batch.target.shape[1]).to(batch.target)


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of logits (n, classes) against distributions (n, classes), their mean."""
    return -(target * logits.float().log_softmax(dim=1)).sum(dim=1).mean()


def yaw_bin_error(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy of logits (n, 5), mean over the faces whose pose is known (0 without any)."""
    error = F.cross_entropy(logits.float(), target, reduction="none")
    return (error * known).sum() / known.sum().clamp(min=1)


def pose_error(angles: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Smooth L1 between angles (n, 3) in degrees, mean over the faces whose pose is known."""
    error = F.smooth_l1_loss(
        angles.float() / POSE_SCALE, target / POSE_SCALE, beta=0.2, reduction="none"
    )
    return (error.mean(dim=1) * known).sum() / known.sum().clamp(min=1)


def mixup(pixels: Tensor, target: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Blend each face and its label distribution with another of the batch (Zhang et al. 2018)."""
    if strength <= 0:
        return pixels, target
    share = torch.distributions.Beta(strength, strength).sample((len(pixels),)).to(pixels.device)
    share = torch.maximum(share, 1 - share)[:, None]
    other = torch.randperm(len(pixels), device=pixels.device)
    blended = torch.lerp(pixels[other], pixels, share[:, :, None, None])
    return blended, torch.lerp(target[other], target, share)
