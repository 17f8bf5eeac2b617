"""The figures of TDGAN: an expression on another face, and what lies between two expressions or two
faces (Xie, Hu and Chen 2021, Figures 7 to 9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from train.data.examples import chosen
from train.data.pictures import read_faces
from train.data.prepared import read_prepared
from train.errors import UserError
from train.evaluation.generators import networks_of
from train.figures.common import Run, Split, write_figure
from train.networks.face_input import FaceInput
from train.networks.tdgan import Generator, build_generator
from train.options import Bounds, Count
from train.plots import plot_faces, plot_transfer
from train.recipes.tdgan import Tdgan, interpolated_expression, interpolated_face
from train.runs.checkpoint import fitting
from train.runs.folder import RunFolder
from train.runs.load import fresh_model

Interpolate = Callable[[Tensor, Tensor, float], Tensor]


@dataclass(frozen=True)
class Pairs:
    """What the figures are drawn from: G of the last epoch of a run, and two kinds of faces."""

    run_folder: Run
    """Run folder of TDGAN."""
    faces: Path | None = None
    """Prepared folder with the faces that get expressions; that of the training by default."""
    faces_split: Split = "validation"
    face_ids: tuple[str, ...] = ()
    """Which of them, as labels.csv calls them; a varied choice by default."""
    face_files: tuple[Path, ...] = ()
    """Pictures to take the faces from, instead."""
    data: Path = Path("data/ferplus")
    """Prepared folder with the expressions."""
    split: Split = "validation"
    ids: tuple[str, ...] = ()
    """Which of them; a varied choice by default."""
    files: tuple[Path, ...] = ()
    """Pictures to take the expressions from, instead."""
    count: Count = 8
    """How many faces and how many expressions, where neither ids nor files say which."""
    output: Path | None = None
    """PNG file; in the run folder by default, named after the figure and the split."""

    def _inputs(self, more_faces: int = 0, more: int = 0) -> tuple[Generator, Tensor, Tensor]:
        """G, and pixels I_f and I_e, `count` of each and so many more."""
        generator, look, trained_on = load_tdgan(self.run_folder)
        people, count = self.faces or trained_on, self.count
        i_f = _read(people, self.faces_split, self.face_ids, self.face_files, count + more_faces)
        i_e = _read(self.data, self.split, self.ids, self.files, count + more)
        return generator, look(i_f), look(i_e)

    def _path(self, figure: str) -> Path:
        return self.output or self.run_folder / f"{figure}-{self.split}.png"


@dataclass(frozen=True)
class TdganTransfer(Pairs):
    """TDGAN, Figure 7: each face with each expression."""

    def run(self) -> None:
        generator, i_f, i_e = self._inputs()
        drawn = i_f.numpy(), i_e.numpy(), generator.transfer(i_f, i_e).numpy()
        write_figure(self._path("transfer"), plot_transfer(*drawn))


@dataclass(frozen=True)
class Between(Pairs):
    """What the interpolations share."""

    steps: Annotated[int, Bounds(2)] = 6
    """Pictures from one end to the other, both counted."""


@dataclass(frozen=True)
class TdganExpressions(Between):
    """TDGAN, Figure 8: a row a face, which goes from one expression to the next of the choice."""

    def run(self) -> None:
        generator, i_f, i_e = self._inputs(more=1)
        rows = pairs(i_f, i_e)
        made = between_expressions(generator, *rows, self.steps)
        columns = {"face": rows[0], "from": rows[1]} | made | {"to": rows[2]}
        _write(self._path("expressions"), columns)


@dataclass(frozen=True)
class TdganFaces(Between):
    """TDGAN, Figure 9: a row an expression, which goes from one face to the next of the choice."""

    def run(self) -> None:
        generator, i_f, i_e = self._inputs(more_faces=1)
        rows = pairs(i_e, i_f)
        made = between_faces(generator, *rows, self.steps)
        columns = {"expression": rows[0], "from": rows[1]} | made | {"to": rows[2]}
        _write(self._path("interpolated-faces"), columns)


def load_tdgan(run: Path) -> tuple[Generator, FaceInput, Path]:
    """G in evaluation mode, what it sees of faces, and the folder of the people it was trained on,
    which need not be there; UserError where the run has none."""
    config = RunFolder(run).config()
    options = config["options"]
    if config["recipe"] != "tdgan" or not options["gan"]:
        raise UserError(f"{run} is a run of {config['recipe']} that has no generator.")
    model = fresh_model(run, config)
    e_e = model.expression.encoder
    generator = build_generator(options["network"], e_e, options["decoder_width"])
    networks = networks_of(run, Tdgan)
    with fitting(RunFolder(run).last):
        own = {name: networks[f"G.{name}"] for name in generator.state_dict()}
        generator.load_state_dict(own)
    return generator.eval(), model.expression_input, Path(options["faces"])


def pairs(fixed: Tensor, ends: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of a figure: of what stays (from the first again when it is at its end), and each of
    `ends` with the next one. UserError where there is no next one."""
    count = len(ends) - 1
    if count < 1:
        raise UserError("An interpolation needs two pictures to lie between: give a second one.")
    return fixed[torch.arange(count) % len(fixed)], ends[:-1], ends[1:]


@torch.no_grad()
def between_expressions(
    generator: Generator, faces: Tensor, first: Tensor, second: Tensor, steps: int
) -> dict[str, Tensor]:
    """Eq. 11: by title pixels (n, channels, size, size) of n faces with what lies between their
    first and second expressions. d_f and d_n stay."""
    d_f = generator.E_f.maps(faces)
    start, end = (generator.E_e.maps(each) for each in (first, second))
    d_e = _steps("α", interpolated_expression, start, end, steps)
    d_n = generator.still_noise(faces)
    return {title: generator.decode(d_f, each, d_n) for title, each in d_e.items()}


@torch.no_grad()
def between_faces(
    generator: Generator, expressions: Tensor, first: Tensor, second: Tensor, steps: int
) -> dict[str, Tensor]:
    """Eq. 12, likewise of what lies between two faces; d_e and d_n stay."""
    d_e = generator.E_e.maps(expressions)
    start, end = (generator.E_f.maps(each) for each in (first, second))
    d_f = _steps("β", interpolated_face, start, end, steps)
    d_n = generator.still_noise(expressions)
    return {title: generator.decode(each, d_e, d_n) for title, each in d_f.items()}


def _steps(
    name: str, interpolate: Interpolate, first: Tensor, second: Tensor, steps: int
) -> dict[str, Tensor]:
    shares = np.linspace(0, 1, steps)
    return {f"{name} = {share:.2g}": interpolate(first, second, share) for share in shares}


def _write(path: Path, columns: dict[str, Tensor]) -> None:
    write_figure(path, plot_faces({title: each.numpy() for title, each in columns.items()}))


def _read(
    folder: Path, split: Split, ids: tuple[str, ...], files: tuple[Path, ...], count: int
) -> Tensor:
    """Aligned faces, uint8 (n, 112, 112, 1 or 3)."""
    if files:
        return torch.from_numpy(read_faces(files))
    data = read_prepared(folder)
    rows = chosen(data, split, ids, count)
    if not len(rows):
        raise UserError(f"{folder} has no {split} faces.")
    return torch.from_numpy(np.array(data.faces[rows]))
