"""The ring around a face whose rest is captured: it fills, with a word on what to do."""

from __future__ import annotations

import cv2
import numpy as np

from realtime.capture import Progress
from realtime.faces import Face
from realtime.output.paint import (
    DARK,
    FRACTION_BITS,
    PLAIN,
    Rect,
    clamped,
    draw_plate,
    draw_text,
    text_width,
)

RADIUS = 0.72
"""Of the ring, in face sizes: outside the box and its corners."""
FULL = (64, 214, 202)
"""RGB of what is filled."""


def draw_ring(image: np.ndarray, face: Face, progress: Progress, size: float) -> list[Rect]:
    """Draws into `image` (uint8 H×W×3, RGB) and gives back what nothing should be drawn over.

    size: of the words, in pixels.
    """
    centre = face.box.reshape(2, 2).mean(axis=0)
    radius = RADIUS * face.size
    thick = max(2, round(face.size / 28))
    for color, width in ((DARK, thick + 2), ((92, 100, 110), thick)):
        _arc(image, centre, radius, 1.0, color, width)
    if progress.share > 0:
        _arc(image, centre, radius, progress.share, FULL, thick)
    if not progress.message:
        return []
    wide, high = text_width(progress.message, size) + 1.2 * size, 1.6 * size
    rect = clamped(image, centre[0] - wide / 2, centre[1] + radius - high / 2, wide, high)
    draw_plate(image, rect, 0.8 * size)
    draw_text(image, progress.message, rect[0] + 0.6 * size, rect[1] + 1.14 * size, size, PLAIN)
    return [rect]


def _arc(
    image: np.ndarray, centre: np.ndarray, radius: float, share: float, color, thick: int
) -> None:
    """The share of a circle, clockwise from its top."""
    angles = np.linspace(0, 2 * np.pi * share, max(2, round(90 * share)))
    points = centre + radius * np.column_stack([np.sin(angles), -np.cos(angles)])
    corners = np.rint(points * (1 << FRACTION_BITS)).astype(np.int32)
    cv2.polylines(image, [corners], False, color, thick, cv2.LINE_AA, FRACTION_BITS)
