"""Draws a summary. Needs matplotlib: `pip install ".[measure]"`."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure as Canvas

from realtime.faces import EXPRESSIONS

if TYPE_CHECKING:
    from realtime.many.summary import Row, Sightings

LINES = 30
"""Faces in the timeline and videos in the heat map, at most: those longest in view."""

CELLS = 400
"""Spans of time that a line is made of."""

COLOURS = ("#b8b8b8", "#f2c230", "#f08a24", "#3b6fb6", "#c8352b", "#5b8c3a", "#7b4fa3", "#8c5a3c")
"""One for each of EXPRESSIONS."""


class Figure:
    """The longest faces over time, and the shares of the longest videos. No more is kept of a video
    than its lines, so a corpus of any size can be added."""

    def __init__(self) -> None:
        self._faces: list[tuple[Row, float, np.ndarray]] = []
        self._videos: list[Row] = []

    def add(self, video: Row, faces: list[Row], sightings: Sightings) -> None:
        self._videos = _longest([*self._videos, video], lambda row: row)
        lines = [(face, video.seconds, _line(face, video.seconds, sightings)) for face in faces]
        self._faces = _longest([*self._faces, *lines], lambda line: line[0])

    def content(self, everything: Row) -> bytes:
        """The content of a PNG file: faces over time at the left, shares by video at the right."""
        figure = Canvas(figsize=(14, 2.5 + 0.25 * LINES), dpi=100, layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        self._draw_faces(left)
        self._draw_videos(right, everything)
        content = BytesIO()
        figure.savefig(content, format="png")
        return content.getvalue()

    def _draw_faces(self, axes) -> None:
        colours = ListedColormap(COLOURS)
        lines = sorted(self._faces, key=lambda line: (line[0].video, line[0].face))
        for place, (_, seconds, cells) in enumerate(lines):
            shown = np.ma.masked_less(cells[None], 0)
            area = (0, seconds, place + 0.4, place - 0.4)
            axes.imshow(shown, colours, vmin=-0.5, vmax=7.5, extent=area, interpolation="nearest")
        names = [f"{_short(row.video)} #{row.face}" for row, _, _ in lines]
        axes.set(title="The faces longest in view, by what they show", xlabel="seconds")
        axes.set_yticks(range(len(lines)), names)
        axes.set_aspect("auto")
        axes.set_xlim(0, max([seconds for _, seconds, _ in lines], default=1))
        axes.set_ylim(max(len(lines), 1) - 0.5, -0.5)
        handles = [matplotlib.patches.Patch(color=colour) for colour in COLOURS]
        below = (0.5, -0.08)
        axes.legend(
            handles, EXPRESSIONS, ncols=4, frameon=False, loc="upper center", bbox_to_anchor=below
        )

    def _draw_videos(self, axes, everything: Row) -> None:
        rows = [*sorted(self._videos, key=lambda row: row.video), everything]
        shares = np.array([row.shares for row in rows])
        image = axes.imshow(shares, "viridis", vmin=0, vmax=1, aspect="auto")
        axes.set(title="Share of each expression, by video")
        axes.set_yticks(range(len(rows)), [*(_short(row.video) for row in rows[:-1]), "all"])
        axes.set_xticks(range(len(EXPRESSIONS)), EXPRESSIONS, rotation=60, ha="right")
        axes.figure.colorbar(image, ax=axes, shrink=0.5)


def _line(face: Row, seconds: float, sightings: Sightings) -> np.ndarray:
    """What a face shows in the middle of each span of the video, the number of an expression
    (CELLS,); -1 where it is not in view."""
    own = sightings.face == face.face
    times, labels = sightings.time[own], sightings.label[own]
    middles = (np.arange(CELLS) + 0.5) * seconds / CELLS
    last = np.searchsorted(times, middles, side="right") - 1
    lasts = max(1.5 * sightings.length, seconds / CELLS)  # as long as its frame, or as a span
    shown = (last >= 0) & (middles - times[last] <= lasts)
    return np.where(shown, labels[last], -1)


def _longest(things: list, row_of) -> list:
    return sorted(things, key=lambda thing: (-row_of(thing).view, row_of(thing).video))[:LINES]


def _short(name: str, most: int = 28) -> str:
    return name if len(name) <= most else "…" + name[1 - most :]
