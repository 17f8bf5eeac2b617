"""What a network says of people nobody trained on: the London set, neutral and mildly smiling.

Accuracy on FERPlus tells how well a network agrees with FERPlus's annotators. These pictures tell
two things that a user sees: how often a resting face is called something else, and how faint a
smile may be to be found; for women and men, who are not read alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro

from train.data.augmentation import Augmentation, Augmenter
from train.data.prepared import PreparedFaces, read_prepared
from train.errors import UserError
from train.files import read_csv, write_json
from train.metrics import percent
from train.networks.face_model import FaceModel
from train.options import Count, Seed
from train.progress import progress
from train.runs.decision import Decision, Prior, read_decision
from train.runs.load import load_model

VARIED = Augmentation(rotation=4, shift=0.02, zoom=0.03, light=0.2, erase=0, blur=0)
"""As a webcam would have taken the same face a moment later."""
VARIED_TIMES = 24
FALSE_ALARMS = 0.02
"""Share of neutral pictures that may be called happy where the limit between both is moved."""
LEAST = 8
"""People whom a group needs to be told of."""


@dataclass(frozen=True)
class Strangers:
    """What the readings of some pictures are of. probabilities: (n, classes); neutral, happiness:
    which of them. smiling: bool (n,). groups: by name, bool (n,)."""

    probabilities: np.ndarray
    neutral: int
    happiness: int
    smiling: np.ndarray
    groups: dict[str, np.ndarray]

    def decided(self, decision: Decision) -> Strangers:
        """The same, decided as a user sees it."""
        return replace(self, probabilities=decision.apply(self.probabilities))

    def kept(self, among: np.ndarray | None = None) -> float:
        """Share of neutral pictures called neutral."""
        return self._called(self.neutral, ~self.smiling, among)

    def found(self, among: np.ndarray | None = None) -> float:
        """Share of smiles called happiness."""
        return self._called(self.happiness, self.smiling, among)

    def scores(self) -> dict:
        """Fractions; at_2_percent: smiles found where the limit between happiness and neutral lies
        so that so many neutral pictures are called happy; auc: of the odds of both."""
        from sklearn.metrics import roc_auc_score

        odds = self.odds()
        limit = np.quantile(odds[~self.smiling], 1 - FALSE_ALARMS)
        return {
            "kept": self.kept(),
            "found": self.found(),
            "at_2_percent": float((odds[self.smiling] > limit).mean()),
            "auc": float(roc_auc_score(self.smiling, odds)),
            "groups": {
                name: {"kept": self.kept(of), "found": self.found(of)}
                for name, of in self.groups.items()
            },
        }

    def odds(self) -> np.ndarray:
        """Log-odds (n,) of happiness against neutral."""
        logs = np.log(np.maximum(self.probabilities, 1e-12))
        return logs[:, self.happiness] - logs[:, self.neutral]

    def _called(self, wanted: int, of: np.ndarray, among: np.ndarray | None) -> float:
        rows = of if among is None else of & among
        return float((self.probabilities.argmax(axis=1)[rows] == wanted).mean())


def read_strangers(
    model: FaceModel, folder: Path, varied: int = VARIED_TIMES, seed: int = 0
) -> Strangers:
    """What `model` says of the prepared London set in `folder`, each picture `varied` times;
    probabilities as the network has them. UserError where the folder holds something else."""
    data = read_prepared(folder)
    people = people_of(data, folder)
    neutral, happiness = (data.classes.index(name) for name in ("neutral", "happiness"))
    augment, found = Augmenter(VARIED), []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for _ in progress(range(varied), desc="strangers", unit="round", leave=False):
            faces = torch.from_numpy(np.array(data.faces))
            pixels, _ = augment(model.expression_input(faces), torch.zeros(len(faces), 3))
            logits = torch.cat([model.expression(piece) for piece in pixels.split(32)])
            found.append(logits.float().softmax(dim=1).numpy())
    smiling = np.tile(data.label == happiness, varied)
    groups = {name: np.tile(of, varied) for name, of in _groups(people).items()}
    return Strangers(np.concatenate(found), neutral, happiness, smiling, groups)


def people_of(data: PreparedFaces, folder: Path) -> list[dict[str, str]]:
    """Of each face the row of people.csv."""
    fix = "run `python -m train prepare london` again"
    rows = read_csv(folder / "people.csv", ("face_id", "face_gender", "face_eth"), fix)
    known = {row["face_id"]: row for row in rows}
    try:
        return [known[str(each).partition("_")[0]] for each in data.ids]
    except KeyError as error:
        raise UserError(f"{folder}/people.csv does not know {error}: {fix}.") from None


def _groups(people: list[dict[str, str]]) -> dict[str, np.ndarray]:
    """Genders, and ethnicities of enough people; of each bool (n,)."""
    found = {}
    for column in ("face_gender", "face_eth"):
        values = np.array([row[column] for row in people])
        for value in np.unique(values):
            if (values == value).sum() >= 2 * LEAST:
                found[str(value)] = values == value
    return found


@dataclass(frozen=True)
class Look:
    """See how runs read people whom nobody trained on, resting and mildly smiling: a row a run. For
    choosing between runs, not for training."""

    runs: Annotated[tuple[Path, ...], tyro.conf.arg(name="run")]
    """Run folders."""
    data: Path = Path("data/london")
    """Folder that `prepare london` wrote."""
    varied: Count = VARIED_TIMES
    """How often each picture is seen, every time moved and lit a little differently."""
    seed: Seed = 0
    prior: Prior = "data"
    """The decision, as `calibrate` knows it."""

    def run(self) -> None:
        rows = {}
        for run in self.runs:
            model, _ = load_model(run)
            seen = read_strangers(model.eval(), self.data, self.varied, self.seed)
            rows[str(run)] = seen.decided(read_decision(run, self.prior)).scores()
            write_json(run / f"strangers-{self.prior}.json", rows[str(run)])
        print(report(rows))


def report(rows: dict[str, dict]) -> str:
    """A table for people: a row a run, in per cent."""
    groups = list(next(iter(rows.values()))["groups"])
    lines = [f"{'neutral kept':>12} {'smiles':>7} {'at 2 %':>7} {'AUC':>6}  smiles of: "
             + ", ".join(groups)]  # fmt: skip
    for name, row in rows.items():
        of = ", ".join(percent(row["groups"][group]["found"]) for group in groups)
        lines.append(
            f"{percent(row['kept']):>12} {percent(row['found']):>7} "
            f"{percent(row['at_2_percent']):>7} {row['auc']:>6.3f}  {of}  {name}"
        )
    return "\n".join(lines)
