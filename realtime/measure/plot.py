"""Draws how long each stage took over a run. Needs matplotlib: `pip install ".[measure]"`."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure

FEW = 30
"""Runs of a stage below which each is a dot of its own."""


def plot(series: Mapping[str, np.ndarray]) -> bytes:
    """The times of each stage over the run, as lines: the content of a PNG file.

    series: by stage, float64 (n, 2), when it ran and for how long, in seconds. Of a stage that ran
    often each point is the median of a part of the run; one that ran a few times only is drawn as
    dots. The scale ends where nearly all lies, so that one long frame does not flatten the rest;
    what is longer is drawn at its end.
    """
    figure = Figure(figsize=(12, 5), dpi=100, layout="constrained")
    axes = figure.add_subplot(xlabel="seconds", ylabel="milliseconds")
    axes.grid(axis="y", alpha=0.3)
    if series:
        everything = np.concatenate(list(series.values()))
        start = everything[:, 0].min()
        top = max(1200 * float(np.percentile(everything[:, 1], 98)), 1e-6)
        for stage, values in series.items():
            ran, took = _medians(values).T
            style = "o" if len(values) < FEW else "-"
            shown = np.minimum(1000 * took, top)
            axes.plot(ran - start, shown, style, linewidth=1, label=stage, clip_on=False)
        axes.set_ylim(0, top)
        figure.legend(loc="outside upper left", ncols=len(series), frameon=False)
    content = BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _medians(values: np.ndarray, most: int = 400) -> np.ndarray:
    """At most `most` rows, each the median of as many neighbours."""
    parts = np.array_split(values, min(most, len(values)))
    return np.array([np.median(part, axis=0) for part in parts])
