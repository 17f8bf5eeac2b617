"""What the commands that draw share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from train.files import save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Split = Literal["train", "validation", "test"]
Run = Annotated[Path, tyro.conf.arg(name="run")]
Runs = Annotated[tuple[Path, ...], tyro.conf.arg(name="runs")]


def write_figure(path: Path, figure: Figure) -> None:
    """Write the figure and say where it lies."""
    save_figure(figure, path)
    print(f"Written: {path}")
