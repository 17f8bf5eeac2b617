"""The figures and tables of IPD-FER (Jiang and Deng), which show other recipes' runs as well."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from train.data.examples import chosen
from train.data.prepared import read_prepared
from train.errors import UserError
from train.evaluation.comparison import (
    ablation_table,
    by_method,
    pose_curves,
    pose_table,
    read_result,
)
from train.evaluation.evaluate import result_name
from train.evaluation.generators import load_makers
from train.figures.common import Run, Runs, Split, write_figure
from train.figures.embedding import embed, expression_features, read_people
from train.files import write_text
from train.options import Count, Seed
from train.plots import (
    plot_confusion,
    plot_curves,
    plot_embeddings,
    plot_faces,
    plot_tables,
)
from train.recipes.ipd_fer import IpdFer
from train.runs.decision import Prior


@dataclass(frozen=True)
class Faces:
    """IPD-FER, Figures 8 and 9: the faces that it makes of f_id, f_pose and f_exp. All networks are
    those of the last epoch: the decoder is not in the best one's file."""

    run_folder: Run
    """Run folder of IPD-FER or ID-FER."""
    data: Path = Path("data/ferplus")
    """Folder that `prepare` wrote."""
    split: Split = "validation"
    ids: tuple[str, ...] = ()
    """Which faces, as labels.csv calls them; a varied choice by default."""
    count: Count = 8
    """How many faces, without --ids."""
    identity: str | None = None
    """E_id, where it lies elsewhere than during the training."""
    output: Path | None = None
    """PNG file; faces-<split>.png in the run folder by default."""

    def run(self) -> None:
        data = read_prepared(self.data)
        recipe = load_makers(self.run_folder, IpdFer, identity=self.identity)
        rows = chosen(data, self.split, self.ids, self.count)
        faces = torch.from_numpy(np.array(data.faces[rows]))
        made = recipe.made(faces, torch.from_numpy(data.label[rows]))
        columns = {each.title: each.pixels.numpy() for each in made}
        path = self.output or self.run_folder / f"faces-{self.split}.png"
        write_figure(path, plot_faces(columns))


@dataclass(frozen=True)
class Tsne:
    """IPD-FER, Figure 10: t-SNE of f_exp, coloured by expression and, with --people, by person; a
    column a run. The titles have the silhouettes of f_exp, which do not depend on t-SNE."""

    runs: Runs
    """Run folders, say the baseline's and IPD-FER's."""
    data: Path = Path("data/ferplus")
    """Folder that `prepare` wrote."""
    split: Split = "validation"
    people: Path | None = None
    """Folder with a folder of pictures for each person."""
    faces: Count = 1000
    """At most so many of the split, drawn at random."""
    seed: Seed = 0
    output: Path = Path("tsne.png")

    def run(self) -> None:
        if not self.runs:
            raise UserError("There is no run to draw: give at least one.")
        data = read_prepared(self.data)
        rows = data.rows(self.split)
        rows = np.sort(np.random.default_rng(self.seed).permutation(rows)[: self.faces])
        labels = np.array(data.classes)[data.label[rows]]
        sets = {"expression": (np.array(data.faces[rows]), labels)}
        if self.people:
            sets["person"] = read_people(self.people)
        grid = [[self._embed(run, what, *sets[what]) for run in self.runs] for what in sets]
        write_figure(self.output, plot_embeddings(grid))

    def _embed(
        self, run: Path, what: str, faces: np.ndarray, labels: np.ndarray
    ) -> tuple[str, np.ndarray, np.ndarray]:
        found = embed(run.name, what, expression_features(run, faces), labels, self.seed)
        title = f"{found.title}, by {found.what}: silhouette {found.silhouette:.3f}"
        return title, found.points, found.labels


@dataclass(frozen=True)
class Scored:
    """What the figures share that are drawn from the numbers of `evaluate`."""

    split: Split = "validation"
    prior: Prior = "data"
    """data: the decision as trained. balanced: corrected for frequent classes (`calibrate`)."""


@dataclass(frozen=True)
class Confusion(Scored):
    """IPD-FER, Figures 4 and 5: which expression is called which."""

    run_folder: Run = dataclasses.field(kw_only=True)
    """Run folder that `evaluate` has measured."""
    output: Path | None = None
    """PNG file; confusion-<split>.png in the run folder by default."""

    def run(self) -> None:
        result = read_result(self.run_folder, self.split, self.prior)
        name = f"confusion-{result_name(self.split, self.prior)}.png"
        path = self.output or self.run_folder / name
        write_figure(path, plot_confusion(result.confusion, result.classes))


@dataclass(frozen=True)
class Pose(Scored):
    """IPD-FER, Table 8 as curves: accuracy on faces turned by more and more, a line a method; a
    band of one standard deviation where a method has runs of several seeds."""

    runs: Runs = dataclasses.field(kw_only=True)
    """Run folders that `evaluate` has measured."""
    output: Path = Path("pose.png")

    def run(self) -> None:
        methods = by_method([read_result(run, self.split, self.prior) for run in self.runs])
        write_figure(self.output, plot_curves(*pose_curves(methods)))


@dataclass(frozen=True)
class Ablation(Scored):
    """IPD-FER, Tables 8 and 9 as PNG, and as Markdown beside it."""

    runs: Runs = dataclasses.field(kw_only=True)
    """Run folders that `evaluate` has measured."""
    output: Path = Path("ablation.png")

    def run(self) -> None:
        methods = by_method([read_result(run, self.split, self.prior) for run in self.runs])
        tables = pose_table(methods), ablation_table(methods)
        filled = [table for table in tables if table.rows]
        write_figure(self.output, plot_tables([(each.columns, each.rows) for each in filled]))
        text = self.output.with_suffix(".md")
        write_text(text, "\n".join(table.markdown() for table in filled))
        print(f"Written: {text}")
