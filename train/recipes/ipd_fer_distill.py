"""IPD-FER that also learns what teachers say: not of the paper, for better weights.

Expressions are learnt from the votes and from trained networks (see train.recipes.distill), in
every loss that has them; all else is IPD-FER as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from train.options import NotNegative, Share
from train.recipes.distill import LearnsFromTeachers
from train.recipes.ipd_fer import IpdFer, IpdFerOptions


@dataclass(frozen=True)
class IpdFerDistillOptions(IpdFerOptions):
    """Hyper-parameters of IPD-FER, and the teachers."""

    teacher: tuple[Path, ...] = (Path("runs/teacher"),)
    """Run folders whose best epochs teach; of several, the mean is learnt."""
    share: Share = 0.5
    """Weight of the teachers' word; the rest is the annotators'."""
    person: tuple[str, ...] = ()
    """Recognition networks that tell the kind of person, named as --identity."""
    person_prior: NotNegative = 2.0
    """With --person: how far it is taken out of the labels how often that kind of person smiles."""
    hard_labels: bool = False
    """Has to be off: what teachers say is a distribution."""


class IpdFerDistill(LearnsFromTeachers, IpdFer):
    """IPD-FER on labels that are partly the teachers'. Of the faces without a majority none is
    neutral to equation 1."""

    options_type = IpdFerDistillOptions
