"""The figure of joint pose and expression modelling."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from train.data.examples import chosen
from train.data.prepared import read_prepared
from train.evaluation.generators import load_makers
from train.figures.common import Run, Split, write_figure
from train.options import Count
from train.plots import plot_grids
from train.recipes.joint_pose_expression import JointPoseExpression


@dataclass(frozen=True)
class Codes:
    """Joint pose and expression modelling, Figure 6: what its generator makes of some faces with
    every expression under every pose. The generator is that of the last epoch."""

    run_folder: Run
    """Run folder of joint_pose_expression, with generated faces."""
    data: Path = Path("data/ferplus")
    """Folder that `prepare` wrote."""
    split: Split = "validation"
    ids: tuple[str, ...] = ()
    """Which faces, as labels.csv calls them; a varied choice by default."""
    count: Count = 3
    """How many faces, without --ids."""
    output: Path | None = None
    """PNG file; codes-<split>.png in the run folder by default."""

    def run(self) -> None:
        data, recipe = read_prepared(self.data), load_makers(self.run_folder, JointPoseExpression)
        rows = chosen(data, self.split, self.ids, self.count)
        faces, codes = torch.from_numpy(np.array(data.faces[rows])), recipe.codes
        grids = recipe.synthesise(faces, codes.every())
        grids = grids.reshape(len(rows), codes.poses, len(codes.expressions), *grids.shape[2:])
        shown = recipe.model.expression_input(faces).numpy()
        path = self.output or self.run_folder / f"codes-{self.split}.png"
        titles = codes.pose_titles(), list(codes.expressions)
        write_figure(path, plot_grids(shown, grids, titles))
