"""The losses and labels that several recipes share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from train.data.batches import Batch
from train.networks.face_model import POSE_SCALE


def labels(batch: Batch, hard: bool) -> Tensor:
    """Expressions as distributions, float32 (n, classes): the votes, or the majority's class."""
    if not hard:
        return batch.target
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


def used(**losses: Tensor | float) -> dict[str, Tensor]:
    """Those of the losses that were computed: one whose weight is 0 is the number 0 instead."""
    return {name: loss for name, loss in losses.items() if isinstance(loss, Tensor)}
