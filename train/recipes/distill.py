"""Distillation (Hinton et al. 2015): a small network learns what a larger, trained one says.

What ships may not start from the weights of a recognition network, but a teacher may, and what
ships may learn from its outputs.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from train.data.batches import Arrays, Batch
from train.data.identity import identity_features
from train.data.person import smiling_prior, without_prior
from train.data.prepared import PreparedFaces
from train.data.teacher import taught, teachers_word
from train.errors import UserError
from train.networks.identity import load_identity
from train.options import NotNegative, Share
from train.recipes.baseline import Baseline, BaselineOptions
from train.recipes.recipe import Recipe


@dataclass(frozen=True)
class TeacherOptions:
    """Who teaches, and what is taken out of what they say."""

    teacher: tuple[Path, ...] = (Path("runs/teacher"),)
    """Run folders whose best epochs teach; of several, the mean is learnt."""
    share: Share = 0.7
    """Weight of the teachers' word; the rest is the annotators'."""
    person: tuple[str, ...] = ()
    """Recognition networks that tell the kind of person, named as --identity of ipd_fer."""
    person_prior: NotNegative = 2.0
    """With --person: how far it is taken out of the labels how often that kind of person smiles.
    1 is what training data say; more, as f_id tells the kind only in part."""


@dataclass(frozen=True)
class DistillOptions(TeacherOptions, BaselineOptions):
    """Hyper-parameters of distillation: the baseline's, and the teachers."""


class LearnsFromTeachers(Recipe):
    """Before another recipe among the bases: its labels become, by `share`, the teachers'
    probabilities. Faces that the protocol leaves out for want of a majority teach too."""

    def __init__(self, options, classes: tuple[str, ...]):
        if options.hard_labels:
            raise UserError("Teachers' words are no single class: leave out --hard-labels.")
        if not options.teacher:
            raise UserError("There is no teacher to learn from: give --teacher at least one run.")
        super().__init__(options, classes)

    def rows(self, data: PreparedFaces) -> np.ndarray:
        return data.rows("train", "unlabelled")

    def prepare(self, data: PreparedFaces, folder: Path, fabric) -> Arrays:
        """What the other recipe computes, and the mean of the teachers' probabilities."""
        found = dict(super().prepare(data, folder, fabric) or {})
        found["teachers"] = teachers_word(self.options.teacher, data, folder, fabric.device)
        if self.options.person:
            networks = [load_identity(name) for name in self.options.person]
            f_id = [identity_features(each, data, folder, fabric.device) for each in networks]
            found["smiling"] = smiling_prior(f_id, data)
            self.happiness = data.classes.index("happiness")
        return found

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """The other recipe's, on labels that are partly what the teachers said."""
        target = taught(batch.target, batch.extra["teachers"], self.options.share)
        if "smiling" in batch.extra:
            strength = self.options.person_prior
            target = without_prior(target, batch.extra["smiling"], self.happiness, strength)
        batch = dataclasses.replace(batch, target=target)
        return super().step(batch)  # type: ignore[safe-super]  # of the recipe after this one


class Distill(LearnsFromTeachers, Baseline):
    """The baseline on labels that are partly the teachers'."""

    options_type = DistillOptions
