"""Draws arrays and numbers with matplotlib. Every function gives the figure, which
:func:`train.files.save_figure` writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = ("accuracy", "mean_class_accuracy", "variance_explained")
"""Scores of Recipe.validate that are fractions."""


def _figure(width: float, height: float) -> Figure:
    """An empty figure; its size in inches."""
    # Here, since loading it takes time that not every command has to wait for.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def plot_confusion(counts: np.ndarray, classes: tuple[str, ...]) -> Figure:
    """A confusion matrix: rows are true classes, cells percent of the row and counts."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = _figure(8, 7)
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        axes.text(
            column,
            row,
            f"{share[row, column]:.0%}\n{counts[row, column]}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if share[row, column] > 0.5 else "black",
        )
    axes.set_xticks(range(len(classes)), classes, rotation=40, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="called", ylabel="is")
    return figure


def plot_log(rows: list[dict]) -> Figure:
    """Training losses and validation scores by epoch; one dict an epoch."""
    epochs = [row["epoch"] for row in rows]
    figure = _figure(10, 4)
    left, right = figure.subplots(1, 2)
    for key in (key for key in rows[0] if key.startswith("loss_")):
        left.plot(epochs, [row[key] for row in rows], label=key.removeprefix("loss_"))
    left.set(title="Training losses", xlabel="epoch", yscale="log")
    for key in (key for key in rows[0] if key in SHARES):
        right.plot(epochs, [100 * row[key] for row in rows], label=key.replace("_", " "))
    right.set(title="Validation", xlabel="epoch", ylabel="%")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def plot_faces(columns: dict[str, np.ndarray]) -> Figure:
    """Faces side by side, one row a face (IPD-FER, Figures 8 and 9).

    columns: title → float (n, 1 or 3, side, side) pixels in 0…1, the same n for each.
    """
    count = len(next(iter(columns.values())))
    figure = _figure(1.4 * len(columns), 1.4 * count + 0.3)
    grid = figure.subplots(count, len(columns), squeeze=False)
    for axes, (title, faces) in zip(grid.T, columns.items(), strict=True):
        axes[0].set_title(title, fontsize=9)
        for cell, face in zip(axes, faces, strict=True):
            _show(cell, face)
            cell.axis("off")
    return figure


def plot_grids(faces: np.ndarray, grids: np.ndarray, titles: tuple[list[str], list[str]]) -> Figure:
    """Each face, and below it what was made of it, poses × expressions, (joint pose and
    expression modelling, Figure 6).

    faces: float (n, 1 or 3, side, side) in 0…1; grids: (n, poses, expressions, 1 or 3, side, side);
    titles: of the poses and of the expressions.
    """
    poses, expressions = titles
    figure = _figure(0.9 * len(grids) * (len(expressions) + 1), 0.9 * (len(poses) + 1))
    parts = figure.subfigures(1, len(grids), squeeze=False)[0]
    for part, face, grid in zip(parts, faces, grids, strict=True):
        cells = part.subplots(len(poses) + 1, len(expressions), squeeze=False)
        for axes in cells.flat:
            axes.set(xticks=[], yticks=[], frame_on=False)
        _show(cells[0, 0], face)
        for (row, column), axes in np.ndenumerate(cells[1:]):
            _show(axes, grid[row, column])
        for axes, title in zip(cells[1], expressions, strict=True):
            axes.set_title(title, fontsize=7)
        for axes, title in zip(cells[1:, 0], poses, strict=True):
            axes.set_ylabel(title, fontsize=6)
    return figure


def plot_transfer(faces: np.ndarray, expressions: np.ndarray, grid: np.ndarray) -> Figure:
    """Each face with each expression: a row a face, which stands before it, a column an
    expression, which stands above it (TDGAN, Figure 7).

    faces: float (n, 1 or 3, side, side) in 0…1; expressions: likewise (m, …); grid: (n, m, …).
    """
    n, m = grid.shape[:2]
    figure = _figure(m + 1, n + 1)
    cells = figure.subplots(n + 1, m + 1, squeeze=False)
    for axes in cells.flat:
        axes.axis("off")
    for axes, face in zip(cells[1:, 0], faces, strict=True):
        _show(axes, face)
    for axes, expression in zip(cells[0, 1:], expressions, strict=True):
        _show(axes, expression)
    for index in np.ndindex(n, m):
        _show(cells[1:, 1:][index], grid[index])
    return figure


def _show(axes, face: np.ndarray) -> None:
    axes.imshow(face.transpose(1, 2, 0).squeeze(), cmap="gray", vmin=0, vmax=1)


def plot_embeddings(grid: Sequence[Sequence[tuple[str, np.ndarray, np.ndarray]]]) -> Figure:
    """t-SNE (IPD-FER, Figure 10): rows of pictures as given, each a title, points (n, 2) and their
    n labels. Few kinds of labels are coloured dots; many are their number in a colour."""
    from matplotlib import colormaps  # as late as in _figure

    shape = (len(grid), len(grid[0]))
    figure = _figure(5 * shape[1] + 1, 4.6 * shape[0])
    cells = figure.subplots(*shape, squeeze=False)
    pictures = (each for row in grid for each in row)
    for axes, (title, places, labels) in zip(cells.flat, pictures, strict=True):
        kinds = np.unique(labels)
        many = len(kinds) > 10
        for index, kind in enumerate(kinds):
            points = places[labels == kind]
            colour = colormaps["tab20" if many else "tab10"](index % 20)
            axes.scatter(*points.T, s=0 if many else 10, color=colour, label=kind)
            for x, y in points if many else ():
                axes.text(x, y, str(index + 1), color=colour, fontsize=6, ha="center", va="center")
        axes.set_title(title, fontsize=10)
        axes.set(xticks=[], yticks=[])
        if not many:
            axes.legend(fontsize=7, markerscale=1.5)
    return figure


def plot_curves(curves: dict[str, tuple[np.ndarray, np.ndarray]], ticks: Sequence[str]) -> Figure:
    """Accuracies in percent, a line for each title over the same ticks: mean, float (n,) from 0 to
    1, with a band of one standard deviation, likewise. NaN leaves a gap."""
    figure = _figure(7, 4.5)
    axes = figure.subplots()
    for title, (fractions, deviations) in curves.items():
        mean, band = 100 * fractions, 100 * deviations
        (line,) = axes.plot(ticks, mean, marker="o", label=title)
        axes.fill_between(ticks, mean - band, mean + band, alpha=0.15, color=line.get_color())
    axes.set(xlabel="|yaw|", ylabel="accuracy (%)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def plot_bars(vectors: dict[str, np.ndarray]) -> Figure:
    """Vectors (M,) as bar charts side by side, by title and with one scale (FDRL, Figure
    6)."""
    columns = min(4, len(vectors))
    rows = -(-len(vectors) // columns)
    figure = _figure(2.6 * columns, 1.9 * rows)
    cells = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes, (title, vector) in zip(cells.flat, vectors.items(), strict=False):
        axes.bar(np.arange(1, len(vector) + 1), vector)
        axes.set_title(title, fontsize=9)
        axes.set_xticks(np.arange(1, len(vector) + 1))
    figure.supxlabel("latent feature", fontsize=9)
    figure.supylabel("mean Intra-W", fontsize=9)
    return figure


def plot_tables(tables: Sequence[tuple[Sequence[str], Sequence[Sequence[str]]]]) -> Figure:
    """Tables, each of its columns' titles and its rows, one below the other."""
    width = max(len(columns) for columns, _ in tables)
    lines = [len(rows) + 1 for _, rows in tables]
    figure = _figure(1.9 * width, 0.32 * sum(lines) + 0.3)
    cells = figure.subplots(len(tables), squeeze=False, height_ratios=lines)
    for axes, (columns, rows) in zip(cells.flat, tables, strict=True):
        axes.axis("off")
        drawn = axes.table(rows, colLabels=columns, cellLoc="center", bbox=(0, 0, 1, 1))
        drawn.auto_set_font_size(False)
        drawn.set_fontsize(8)
        for column in range(len(columns)):
            drawn[0, column].set_text_props(weight="bold")
    return figure
