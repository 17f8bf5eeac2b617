"""Pictures of results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from train.data.prepared import PreparedFaces
from train.errors import DataError
from train.files import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from train.comparison import Spread, Table
    from train.embedding import Embedding


def write_figure(path: Path, plot: Callable, *what) -> None:
    """Draw `what` into the file and say where it lies."""
    plot(*what, path)
    print(f"Written: {path}")


SHARES = ("accuracy", "mean_class_accuracy", "variance_explained")
"""Scores of Recipe.validate that are fractions."""


def _figure(width: float, height: float) -> Figure:
    """An empty figure; its size in inches."""
    # Here, since loading it takes time that not every command has to wait for.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    with whole(path) as part:
        # The format by its name: that of a file half written says nothing.
        figure.savefig(part, dpi=120, format=path.suffix.removeprefix(".") or "png")


def plot_confusion(counts: np.ndarray, classes: tuple[str, ...], path: Path) -> None:
    """A confusion matrix as PNG: rows are true classes, cells percent of the row and counts."""
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
    _save(figure, path)


def plot_log(rows: list[dict], path: Path) -> None:
    """Training losses and validation scores by epoch as PNG; one dict an epoch."""
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
    _save(figure, path)


def examples(data: PreparedFaces, rows: np.ndarray, count: int = 8) -> np.ndarray:
    """Up to `count` of the `rows`, always the same: the classes in turn, every other face turned by
    more than 20° where the class has one."""
    turned = data.pose_trusted[rows] & (np.abs(data.pose[rows, 0]) > 20)
    chosen: list[int] = []
    for index in range(count):
        free = ~np.isin(rows, chosen)
        own = free & (data.label[rows] == index % len(data.classes))
        wanted = own & (turned if index % 2 else ~turned)
        pool = next((pool for pool in (wanted, own, free) if pool.any()), None)
        if pool is not None:
            chosen.append(rows[pool][0])
    return np.array(chosen, dtype=np.int64)


def chosen(data: PreparedFaces, split: str, ids: tuple[str, ...], count: int) -> np.ndarray:
    """Indices of the faces of a split with these ids, as labels.csv has them, or without ids of
    `count` :func:`examples`. DataError for ids that the split does not have."""
    if not ids:
        return examples(data, data.rows(split), count)
    row_of = {data.ids[row]: row for row in data.rows(split)}
    missing = [each for each in ids if each not in row_of]
    if missing:
        some = ", ".join(list(row_of)[:3])
        raise DataError(f"There is no face {', '.join(missing)} in {split}, but {some}, …")
    return np.array([row_of[each] for each in ids])


def plot_faces(columns: dict[str, np.ndarray], path: Path) -> None:
    """Faces side by side as PNG, one row a face (IPD-FER, Figures 8 and 9).

    columns: title → float (n, 1 or 3, side, side) pixels in 0…1, the same n for each.
    """
    count = len(next(iter(columns.values())))
    figure = _figure(1.4 * len(columns), 1.4 * count + 0.3)
    grid = figure.subplots(count, len(columns), squeeze=False)
    for axes, (title, faces) in zip(grid.T, columns.items()):
        axes[0].set_title(title, fontsize=9)
        for cell, face in zip(axes, faces):
            _show(cell, face)
            cell.axis("off")
    _save(figure, path)


def plot_grids(
    faces: np.ndarray, grids: np.ndarray, titles: tuple[list[str], list[str]], path: Path
) -> None:
    """Each face, and below it what was made of it, poses × expressions, as PNG (joint pose and
    expression modelling, Figure 6).

    faces: float (n, 1 or 3, side, side) in 0…1; grids: (n, poses, expressions, 1 or 3, side, side);
    titles: of the poses and of the expressions.
    """
    poses, expressions = titles
    figure = _figure(0.9 * len(grids) * (len(expressions) + 1), 0.9 * (len(poses) + 1))
    parts = np.atleast_1d(figure.subfigures(1, len(grids)))
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
    _save(figure, path)


def plot_transfer(
    faces: np.ndarray, expressions: np.ndarray, grid: np.ndarray, path: Path
) -> None:
    """Each face with each expression as PNG: a row a face, which stands before it, a column an
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
    _save(figure, path)


def _show(axes, face: np.ndarray) -> None:
    axes.imshow(face.transpose(1, 2, 0).squeeze(), cmap="gray", vmin=0, vmax=1)


def plot_embeddings(grid: list[list[Embedding]], path: Path) -> None:
    """t-SNE as PNG (IPD-FER, Figure 10): rows of pictures as given. Expressions are coloured dots;
    people, being many, their number in a colour."""
    from matplotlib import colormaps  # as late as in _figure

    shape = (len(grid), len(grid[0]))
    figure = _figure(5 * shape[1] + 1, 4.6 * shape[0])
    cells = figure.subplots(*shape, squeeze=False)
    for axes, embedding in zip(cells.flat, (each for row in grid for each in row), strict=True):
        kinds = np.unique(embedding.labels)
        many = len(kinds) > 10
        for index, kind in enumerate(kinds):
            points = embedding.points[embedding.labels == kind]
            colour = colormaps["tab20" if many else "tab10"](index % 20)
            axes.scatter(*points.T, s=0 if many else 10, color=colour, label=kind)
            for x, y in points if many else ():
                axes.text(x, y, str(index + 1), color=colour, fontsize=6, ha="center", va="center")
        title = f"{embedding.title}, by {embedding.what}: silhouette {embedding.silhouette:.3f}"
        axes.set_title(title, fontsize=10)
        axes.set(xticks=[], yticks=[])
        if not many:
            axes.legend(fontsize=7, markerscale=1.5)
    _save(figure, path)


def plot_curves(curves: dict[str, list[Spread | None]], ticks: list[str], path: Path) -> None:
    """Accuracies in percent as PNG, a line for each title over the same ticks, with a band of one
    standard deviation where there is one. None leaves a gap."""
    figure = _figure(7, 4.5)
    axes = figure.subplots()
    for title, spreads in curves.items():
        mean = 100 * np.array([np.nan if each is None else each.mean for each in spreads])
        band = 100 * np.array([(each.deviation if each else None) or 0.0 for each in spreads])
        (line,) = axes.plot(ticks, mean, marker="o", label=title)
        axes.fill_between(ticks, mean - band, mean + band, alpha=0.15, color=line.get_color())
    axes.set(xlabel="|yaw|", ylabel="accuracy (%)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    _save(figure, path)


def plot_bars(vectors: dict[str, np.ndarray], path: Path) -> None:
    """Vectors (M,) as bar charts side by side as PNG, by title and with one scale (FDRL, Figure
    6)."""
    columns = min(4, len(vectors))
    rows = -(-len(vectors) // columns)
    figure = _figure(2.6 * columns, 1.9 * rows)
    cells = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes, (title, vector) in zip(cells.flat, vectors.items()):
        axes.bar(np.arange(1, len(vector) + 1), vector)
        axes.set_title(title, fontsize=9)
        axes.set_xticks(np.arange(1, len(vector) + 1))
    figure.supxlabel("latent feature", fontsize=9)
    figure.supylabel("mean Intra-W", fontsize=9)
    _save(figure, path)


def plot_tables(tables: list[Table], path: Path) -> None:
    """Tables as PNG, one below the other."""
    width = max(len(table.columns) for table in tables)
    lines = [len(table.rows) + 1 for table in tables]
    figure = _figure(1.9 * width, 0.32 * sum(lines) + 0.3)
    cells = figure.subplots(len(tables), squeeze=False, height_ratios=lines)
    for axes, table in zip(cells.flat, tables, strict=True):
        axes.axis("off")
        drawn = axes.table(
            table.rows, colLabels=table.columns, cellLoc="center", bbox=(0, 0, 1, 1)
        )
        drawn.auto_set_font_size(False)
        drawn.set_fontsize(8)
        for column in range(len(table.columns)):
            drawn[0, column].set_text_props(weight="bold")
    _save(figure, path)
