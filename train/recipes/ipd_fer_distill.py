"""IPD-FER that also learns what teachers say: not of the paper, for better weights.

Expressions are learnt from the votes and from trained networks (see train.recipes.distill), in
every loss that has them; all else is IPD-FER as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from train.options import Share
from train.recipes.distill import LearnsFromTeachers, TeacherOptions
from train.recipes.ipd_fer import IpdFer
from train.recipes.ipd_fer_options import IpdFerOptions


@dataclass(frozen=True)
class IpdFerDistillOptions(TeacherOptions, IpdFerOptions):
    """Hyper-parameters of IPD-FER, and the teachers."""

    share: Share = 0.5
    """Weight of the teachers' word; the rest is the annotators'."""
    hard_labels: bool = False
    """Has to be off: what teachers say is a distribution."""


class IpdFerDistill(LearnsFromTeachers, IpdFer):
    """IPD-FER on labels that are partly the teachers'. Of the faces without a majority none is
    neutral to equation 1."""

    options_type = IpdFerDistillOptions
