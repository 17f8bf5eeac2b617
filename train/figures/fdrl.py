"""The figures of FDRL: what Intra-RM finds important (Ruan et al., Figures 3 and 6)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from train.data.batches import FaceDataset, evaluation_loader
from train.data.prepared import PreparedFaces, read_prepared
from train.errors import UserError
from train.figures.common import Run, Split, write_figure
from train.networks.fdrl import FdrlBranch
from train.options import Count
from train.plots import plot_bars, plot_faces
from train.runs.load import load_model


@dataclass(frozen=True)
class IntraWeights:
    """What the figures are drawn from: a run of FDRL with Intra-RM, and faces."""

    run_folder: Run
    """Run folder of FDRL."""
    data: Path = Path("data/ferplus")
    """Folder that `prepare` wrote."""
    split: Split = "validation"
    output: Path | None = None
    """PNG file; in the run folder by default, named after the figure and the split."""

    def _measured(self) -> tuple[PreparedFaces, np.ndarray]:
        """The faces of the split, and their Intra-W (n, M)."""
        data = read_prepared(self.data)
        data = data.only(data.rows(self.split))
        return data, intra_weights_of(self.run_folder, data)

    def _path(self, figure: str) -> Path:
        return self.output or self.run_folder / f"{figure}-{self.split}.png"


@dataclass(frozen=True)
class FdrlWeights(IntraWeights):
    """FDRL, Figure 6: the mean Intra-W vector of each expression."""

    def run(self) -> None:
        data, weights = self._measured()
        write_figure(self._path("weights"), plot_bars(mean_by_class(data, weights)))


@dataclass(frozen=True)
class FdrlGroups(IntraWeights):
    """FDRL, Figure 3: for each latent feature the faces in which it is most important."""

    count: Count = 8
    """Faces in a group."""

    def run(self) -> None:
        data, weights = self._measured()
        columns = {
            f"latent {j + 1}": data.faces[rows].transpose(0, 3, 1, 2) / 255
            for j, rows in enumerate(groups(weights, self.count))
        }
        write_figure(self._path("groups"), plot_faces(columns))


@torch.inference_mode()
def intra_weights_of(run: Path, data: PreparedFaces) -> np.ndarray:
    """Intra-W, float32 (n, M), that the best epoch of a run gives all faces of `data`.

    UserError where the run has no Intra-RM.
    """
    model, config = load_model(run)
    branch = model.expression
    if not isinstance(branch, FdrlBranch) or branch.intra is None:
        raise UserError(f"{run} is a run of {config['recipe']} without Intra-RM.")
    loader = evaluation_loader(FaceDataset(data, np.arange(len(data))))
    found = [branch.analyse(model.expression_input(batch.faces)).intra_weights for batch in loader]
    return torch.cat([weights for weights in found if weights is not None]).numpy()


def mean_by_class(data: PreparedFaces, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The mean Intra-W vector (M,) by the name of each class that has faces."""
    return {
        name: weights[data.label == index].mean(axis=0)
        for index, name in enumerate(data.classes)
        if (data.label == index).any()
    }


def groups(weights: np.ndarray, count: int) -> np.ndarray:
    """Indices (M, count) of the faces in which each latent feature has the largest share of the
    Intra-W vector, weights (n, M). The share: else one face with a large vector would be in all
    groups."""
    shares = weights / weights.sum(axis=1, keepdims=True)
    return np.argsort(-shares, axis=0, kind="stable")[:count].T
