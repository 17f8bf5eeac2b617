"""Distillation (Hinton et al. 2015): a small network learns what a larger, trained one says.

What ships may not start from the weights of a recognition network, but a teacher may, and what
ships may learn from its outputs.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from train.data.batches import Batch
from train.data.prepared import PreparedFaces
from train.data.teacher import teacher_probabilities
from train.recipes.baseline import Baseline, BaselineOptions


@dataclass(frozen=True)
class DistillOptions(BaselineOptions):
    """Hyper-parameters of distillation: the baseline's, and the teacher."""

    teacher: Path = Path("runs/teacher")
    """Run folder whose best epoch teaches."""
    share: float = 0.7
    """Weight of the teacher's word; the rest is the annotators'."""


class Distill(Baseline):
    """The baseline on labels that are, by `share`, the teacher's probabilities. It also learns
    from the training faces that the protocol leaves out for want of a majority."""

    options_type = DistillOptions

    def rows(self, data: PreparedFaces) -> np.ndarray:
        return data.rows("train", "unlabelled")

    def prepare(self, data: PreparedFaces, folder: Path, fabric) -> np.ndarray:
        """The teacher's probabilities of every face."""
        return teacher_probabilities(self.options.teacher, data, folder, fabric.device)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        target = taught(batch.target, batch.extra, self.options.share)
        return super().step(dataclasses.replace(batch, target=target))


def taught(votes: Tensor, teacher: Tensor, share: float) -> Tensor:
    """Distributions (n, classes) that are the teacher's by `share` and the votes' by the rest;
    the teacher's alone where nobody voted."""
    voted = votes.sum(dim=1, keepdim=True) > 0
    return torch.where(voted, torch.lerp(votes, teacher, share), teacher)
