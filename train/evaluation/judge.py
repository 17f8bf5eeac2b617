"""What a trained network sees in the faces that a run's generator makes.

Looking at a picture of a few faces tells whether a generator works at all; how often its faces show
the expression and the pose that they should is a number. The network that judges is another run's:
one that learnt from these very faces would know their faults.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import tyro
from torch import Tensor
from torch.nn import functional as F

from realtime.align import FACE_SIZE
from train.data.examples import examples
from train.data.prepared import PreparedFaces, read_prepared
from train.errors import UserError
from train.evaluation.generators import load_makers
from train.evaluation.likeness import Likeness, same_person
from train.evaluation.likeness import report as likeness_report
from train.files import write_json
from train.metrics import percent
from train.networks.face_model import FaceModel
from train.networks.identity import load_identity
from train.options import Count
from train.progress import progress
from train.recipes.described import Made
from train.recipes.recipe import Recipe
from train.runs.folder import RunFolder
from train.runs.load import load_model

BATCH = 32
"""Faces at a time."""


@dataclass
class Tally:
    """Counts of one title: by class, how many faces should show it and how many do; of how many
    faces the yaw is known that they should have, and in degrees the sums of its absolute values
    and of the absolute errors; the sums of the pixels and of their squares over the faces."""

    meant: np.ndarray
    shown: np.ndarray
    turned: int = 0
    yaw: float = 0.0
    yaw_error: float = 0.0
    sums: np.ndarray | float = 0.0
    squares: np.ndarray | float = 0.0

    def spread(self) -> float:
        """How far apart the faces are: the standard deviation of a pixel over the faces, mean of
        the pixels, in 0…1. A generator that makes one face of everybody can please a judge."""
        n = max(1, int(self.meant.sum()))
        variance = self.squares / n - np.square(self.sums / n)
        return float(np.sqrt(np.maximum(variance, 0.0)).mean())

    def scores(self, classes: list[str]) -> dict:
        """Fractions, and means in degrees; None where there is nothing to count."""
        by_class = {
            name: int(shown) / int(meant) if meant else None
            for name, meant, shown in zip(classes, self.meant, self.shown, strict=True)
        }
        return {
            "faces": int(self.meant.sum()),
            "as_meant": self.shown.sum() / max(1, self.meant.sum()),
            "by_class": by_class,
            "yaw": self.yaw / self.turned if self.turned else None,
            "yaw_error": self.yaw_error / self.turned if self.turned else None,
            "spread": self.spread(),
        }


@dataclass
class Verdict:
    """Counts what `network`, another run's best epoch, sees; its classes are `classes`."""

    network: FaceModel
    classes: list[str]
    tallies: dict[str, Tally] = field(default_factory=dict)

    @torch.no_grad()
    def add(self, made: Made) -> None:
        """Look at some faces more."""
        zeros = np.zeros(len(self.classes), int)
        tally = self.tallies.setdefault(made.title, Tally(zeros, zeros))
        label, yaw = self._see(made.pixels)
        meant = made.expression.numpy()
        tally.meant = tally.meant + np.bincount(meant, minlength=len(zeros))
        tally.shown = tally.shown + np.bincount(meant[label == meant], minlength=len(zeros))
        pixels = made.pixels.double().numpy()
        tally.sums = tally.sums + pixels.sum(axis=0)
        tally.squares = tally.squares + np.square(pixels).sum(axis=0)
        if made.yaw is not None:
            wanted = made.yaw.numpy() if made.yaw.ndim == 1 else self._see(made.yaw)[1]
            tally.turned += len(yaw)
            tally.yaw += float(np.abs(wanted).sum())
            tally.yaw_error += float(np.abs(yaw - wanted).sum())

    def _see(self, pixels: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """The classes of faces, int (n,), and their yaw in degrees (n,)."""
        # As bytes of the aligned size, which every network knows how to look at.
        whole = F.interpolate(pixels, size=FACE_SIZE, mode="nearest")
        seen = self.network((whole * 255).round().to(torch.uint8).permute(0, 2, 3, 1))
        return seen.expression.argmax(dim=1).numpy(), seen.pose[:, 0].numpy()

    def scores(self) -> dict:
        """By title."""
        return {title: tally.scores(self.classes) for title, tally in self.tallies.items()}


@dataclass(frozen=True)
class Judge:
    """Count how often the faces that a run generates show what they should, as another run sees
    it: ipd_fer, joint_pose_expression or tdgan. The generator is that of the last epoch."""

    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    """Run folder whose generator is judged."""
    judge: Path
    """Run folder of the network that judges, of any recipe and size."""
    data: Path = Path("data/ferplus")
    """Folder that `prepare` wrote."""
    split: Literal["train", "validation", "test"] = "validation"
    count: Count = 160
    """How many of its faces, the classes in turn."""
    identity: str | None = None
    """E_id of IPD-FER, where it lies elsewhere than during the training."""
    faces: Path | None = None
    """The people of TDGAN, likewise. Their validation pictures get the expressions."""
    likeness: str | None = None
    """A second recognition network, named as --identity: how far made faces still show the person
    of the input."""
    people: Path | None = None
    """With --likeness: a folder that `prepare people` wrote, to compare with two pictures of one
    person."""

    def run(self) -> None:
        if self.people and not self.likeness:
            raise UserError("--people has nothing to compare without --likeness NETWORK.")
        network, config = load_model(self.judge)
        data = read_prepared(self.data)
        own = RunFolder(self.run_folder).config()["classes"]
        if not own == config["classes"] == list(data.classes):
            raise UserError(f"{self.run_folder}, {self.judge} and {self.data} differ in classes.")
        rows = examples(data, data.rows(self.split), self.count)
        if not len(rows):
            raise UserError(f"{self.data} has no {self.split} faces.")
        verdict = Verdict(network, config["classes"])
        likeness = self.likeness and Likeness(load_identity(self.likeness, "--likeness"))
        people = self.people and read_prepared(self.people)
        pairs = same_person(people) if people else None
        elsewhere = {"identity": self.identity, "faces": self.faces}
        recipe = load_makers(self.run_folder, Recipe, **elsewhere)  # type: ignore[type-abstract]
        for done in progress(range(0, len(rows), BATCH), desc="judging", unit="batch", leave=False):
            faces, label = taken(data, rows[done : done + BATCH])
            for made in recipe.made(faces, label, first=done):
                verdict.add(made)
                if likeness:
                    likeness.add(made)
        scores = verdict.scores()
        print(report(scores))
        found = {"judge": str(self.judge), "made": scores}
        if likeness:
            if people and pairs is not None:
                likeness.add_people(people, pairs)
            found["likeness"] = {"network": self.likeness, "cosines": likeness.scores()}
            print(f"\n{likeness_report(likeness.scores())}")
        path = self.run_folder / f"judged-{self.split}.json"
        write_json(path, found)
        print(f"\nWritten: {path}")


def taken(data: PreparedFaces, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """Faces, uint8 (n, 112, 112, 1 or 3), and their classes, int64 (n,)."""
    faces = torch.from_numpy(np.array(data.faces[rows]))
    return faces, torch.from_numpy(data.label[rows].astype(np.int64))


def report(scores: dict) -> str:
    """The scores as a table for people, in per cent and degrees; spread: of pixels, in 0…1."""
    classes = list(next(iter(scores.values()))["by_class"])
    lines = [f"{'':<14} {'faces':>6} {'as meant':>9} {'|yaw|':>6} {'off by':>7} {'spread':>7}   "
             + " ".join(f"{name[:5]:>6}" for name in classes)]  # fmt: skip
    for title, score in scores.items():
        yaw, error = (
            "–" if score[key] is None else f"{score[key]:.1f}°" for key in ("yaw", "yaw_error")
        )
        cells = " ".join(f"{percent(share):>6}" for share in score["by_class"].values())
        meant = percent(score["as_meant"])
        head = f"{title:<14} {score['faces']:>6} {meant:>9} {yaw:>6} {error:>7}"
        lines.append(f"{head} {score['spread']:>7.3f}   {cells}")
    return "\n".join(lines)
