"""Pictures of results."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np  # noqa: E402
from matplotlib import pyplot as plt  # noqa: E402

from train.data.prepared import PreparedFaces  # noqa: E402


def plot_confusion(counts: np.ndarray, classes: tuple[str, ...], path: Path) -> None:
    """A confusion matrix as PNG: rows are true classes, cells percent of the row and counts."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(8, 7), layout="constrained")
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
    figure.savefig(path, dpi=120)
    plt.close(figure)


def plot_log(rows: list[dict], path: Path) -> None:
    """Training losses and validation scores by epoch as PNG; one dict an epoch."""
    epochs = [row["epoch"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for key in (key for key in rows[0] if key.startswith("loss_")):
        left.plot(epochs, [row[key] for row in rows], label=key.removeprefix("loss_"))
    left.set(title="Training losses", xlabel="epoch", yscale="log")
    for key in ("accuracy", "mean_class_accuracy"):
        right.plot(epochs, [100 * row[key] for row in rows], label=key.replace("_", " "))
    right.set(title="Validation", xlabel="epoch", ylabel="%")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


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


def plot_faces(columns: dict[str, np.ndarray], path: Path) -> None:
    """Faces side by side as PNG, one row a face (IPD-FER, Figures 8 and 9).

    columns: title → float (n, 1 or 3, side, side) pixels in 0…1, the same n for each.
    """
    count = len(next(iter(columns.values())))
    size = (1.4 * len(columns), 1.4 * count + 0.3)
    figure, grid = plt.subplots(
        count, len(columns), figsize=size, squeeze=False, layout="constrained"
    )
    for axes, (title, faces) in zip(grid.T, columns.items()):
        axes[0].set_title(title, fontsize=9)
        for cell, face in zip(axes, faces):
            cell.imshow(face.transpose(1, 2, 0).squeeze(), cmap="gray", vmin=0, vmax=1)
            cell.axis("off")
    figure.savefig(path, dpi=120)
    plt.close(figure)
