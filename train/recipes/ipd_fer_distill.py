"""IPD-FER that also learns what teachers say: not of the paper, for better weights.

Expressions are learnt from the votes and from trained networks (see train.recipes.distill), in
every loss that has them; all else is IPD-FER as it is.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from train.data.batches import Batch
from train.data.prepared import PreparedFaces
from train.networks.mobilefacenet import FEATURE_DIM
from train.options import Share
from train.recipes.distill import LearnsFromTeachers
from train.recipes.ipd_fer import IpdFer
from train.recipes.ipd_fer_options import IpdFerOptions


@dataclass(frozen=True)
class IpdFerDistillOptions(IpdFerOptions):
    """Hyper-parameters of IPD-FER, and the teachers."""

    teacher: tuple[Path, ...] = (Path("runs/teacher"),)
    """Run folders whose best epochs teach; of several, the mean is learnt."""
    share: Share = 0.5
    """Weight of the teachers' word; the rest is the annotators'."""
    hard_labels: bool = False
    """Has to be off: what teachers say is a distribution."""


class IpdFerDistill(LearnsFromTeachers, IpdFer):
    """IPD-FER on labels that are partly the teachers'. Of the faces without a majority none is
    neutral to equation 1."""

    options_type = IpdFerDistillOptions

    def prepare(self, data: PreparedFaces, folder: Path, fabric) -> np.ndarray:
        """f_id of every face, and the mean of the teachers' probabilities after it."""
        f_id = super().prepare(data, folder, fabric)
        return np.concatenate([f_id, self.said(data, folder, fabric)], axis=1)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        f_id, said = batch.extra.tensor_split([FEATURE_DIM], dim=1)
        return super().step(dataclasses.replace(self.taught(batch, said), extra=f_id))

    def picture(self, data: PreparedFaces, extra: np.ndarray, path: Path) -> None:
        super().picture(data, extra[:, :FEATURE_DIM], path)
