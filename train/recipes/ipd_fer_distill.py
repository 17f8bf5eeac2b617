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
from train.data.prepared import DataError, PreparedFaces
from train.data.teacher import taught, teachers_word
from train.networks.mobilefacenet import FEATURE_DIM
from train.recipes.ipd_fer import IpdFer
from train.recipes.ipd_fer_options import IpdFerOptions


@dataclass(frozen=True)
class IpdFerDistillOptions(IpdFerOptions):
    """Hyper-parameters of IPD-FER, and the teachers."""

    teacher: tuple[Path, ...] = (Path("runs/teacher"),)
    """Run folders whose best epochs teach; of several, the mean is learnt."""
    share: float = 0.5
    """Weight of the teachers' word; the rest is the annotators'."""
    hard_labels: bool = False
    """Has to be off: what teachers say is a distribution."""


class IpdFerDistill(IpdFer):
    """IPD-FER on labels that are, by `share`, the teachers' probabilities. It also learns from the
    training faces that the protocol leaves out for want of a majority; none of them is neutral."""

    options_type = IpdFerDistillOptions

    def __init__(self, options: IpdFerDistillOptions, classes: tuple[str, ...]):
        if options.hard_labels:
            raise DataError(
                "ipd_fer_distill learns from what teachers say: leave out --hard-labels."
            )
        super().__init__(options, classes)

    def rows(self, data: PreparedFaces) -> np.ndarray:
        return data.rows("train", "unlabelled")

    def prepare(self, data: PreparedFaces, folder: Path, fabric) -> np.ndarray:
        """f_id of every face, and the mean of the teachers' probabilities after it."""
        f_id = super().prepare(data, folder, fabric)
        said = teachers_word(self.options.teacher, data, folder, fabric.device)
        return np.concatenate([f_id, said], axis=1)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        f_id, said = batch.extra.tensor_split([FEATURE_DIM], dim=1)
        target = taught(batch.target, said, self.options.share)
        return super().step(dataclasses.replace(batch, target=target, extra=f_id))

    def picture(self, data: PreparedFaces, extra: np.ndarray, path: Path) -> None:
        super().picture(data, extra[:, :FEATURE_DIM], path)
