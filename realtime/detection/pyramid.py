"""The image pyramid of P-Net, whole or spread over several frames."""

from __future__ import annotations

from dataclasses import dataclass

WINDOW = 12
"""Side of P-Net's window in pixels: the smallest face it sees in a pyramid level."""

STRIDE = 2
"""Step of P-Net's window in pixels of a pyramid level."""

FACTOR = 0.709
"""Each pyramid level has about half the area of the one before."""


@dataclass(frozen=True, slots=True)
class PyramidPart:
    """Some rows of one level: the image at `scale`, height×width pixels, rows[0] up to rows[1]."""

    scale: float
    height: int
    width: int
    rows: tuple[int, int]

    @property
    def area(self) -> int:
        return (self.rows[1] - self.rows[0]) * self.width


def pyramid(height: int, width: int, min_face: int) -> list[PyramidPart]:
    """All levels, finest first, for an image of height×width; in the finest, a face of `min_face`
    pixels covers one window. Empty where the image is too small for any."""
    levels, scale = [], WINDOW / min_face
    while min(height, width) * scale >= WINDOW:
        size = int(height * scale + 1), int(width * scale + 1)
        levels.append(PyramidPart(scale, *size, (0, size[0])))
        scale *= FACTOR
    return levels


def spread(levels: list[PyramidPart], frames: int) -> list[list[PyramidPart]]:
    """The levels in at most `frames` portions of about the same area, largest pieces first.

    A level larger than a portion is cut into strips. They overlap by a window less its step, so
    together they hold exactly the windows of the whole level.
    """
    share = max(1, sum(level.area for level in levels) // frames)
    pieces = sorted(
        (piece for level in levels for piece in _strips(level, -(-level.area // share))),
        key=lambda piece: -piece.area,
    )
    portions: list[list[PyramidPart]] = [[] for _ in range(min(frames, len(pieces)))]
    for piece in pieces:
        min(portions, key=lambda portion: sum(part.area for part in portion)).append(piece)
    return portions


def _strips(level: PyramidPart, count: int) -> list[PyramidPart]:
    overlap = WINDOW - STRIDE
    windows = (level.height - overlap) // STRIDE
    count = max(1, min(count, windows))
    edges = [STRIDE * (windows * strip // count) for strip in range(count)]
    ends = [start + overlap for start in edges[1:]] + [level.height]
    return [
        PyramidPart(level.scale, level.height, level.width, rows)
        for rows in zip(edges, ends, strict=True)
    ]
