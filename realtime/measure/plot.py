"""Draws how long each stage took over a run."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

WIDTH, HEIGHT, LEFT, MARGIN = 1200, 500, 70, 40
FEW = 30
GREY = (90, 90, 90)
COLORS = (
    (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189),
    (140, 86, 75), (227, 119, 194), (127, 127, 127), (188, 189, 34), (23, 190, 207),
)  # fmt: skip


def plot(series: Mapping[str, np.ndarray]) -> np.ndarray:
    """The times of each stage over the run, as lines: uint8 H×W×3, RGB.

    series: by stage, (n, 2), when it ran and for how long, in seconds. Of a stage that ran often
    each point is the median of a part of the run; one that ran a few times only is drawn as dots.
    The scale ends where nearly all lies, so that one long frame does not flatten the rest.
    """
    image = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    if not series:
        return image
    everything = np.concatenate(list(series.values()))
    start, end = everything[:, 0].min(), everything[:, 0].max()
    top = 1.2 * float(np.percentile(everything[:, 1], 98))
    _draw_scale(image, top, end - start)
    for number, (stage, values) in enumerate(series.items()):
        color = COLORS[number % len(COLORS)]
        x, y = _medians(values).T
        x = LEFT + (x - start) / max(end - start, 1e-9) * (WIDTH - MARGIN - LEFT)
        y = HEIGHT - MARGIN - np.minimum(y / max(top, 1e-9), 1) * (HEIGHT - 2 * MARGIN)
        points = np.column_stack([x, y]).round().astype(np.int32)
        if len(values) < FEW:
            for point in points.tolist():
                cv2.circle(image, point, 4, color, -1, cv2.LINE_AA)
        else:
            cv2.polylines(image, [points], False, color, 1, cv2.LINE_AA)
        _write(image, stage, (LEFT + 10 + 110 * number, 25), color)
    return image


def png(image: np.ndarray) -> bytes:
    """A picture (uint8 H×W×3, RGB) as the content of a PNG file."""
    return cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()


def _medians(values: np.ndarray, most: int = 400) -> np.ndarray:
    """At most `most` rows, each the median of as many neighbours."""
    parts = np.array_split(values, min(most, len(values)))
    return np.array([np.median(part, axis=0) for part in parts])


def _draw_scale(image: np.ndarray, top: float, duration: float) -> None:
    for share in np.linspace(0, 1, 5):
        y = round(HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN))
        cv2.line(image, (LEFT, y), (WIDTH - MARGIN, y), (225, 225, 225), 1)
        _write(image, f"{1000 * share * top:.1f} ms", (4, y + 4), GREY)
    _write(image, f"{duration:.1f} s", (WIDTH - 2 * MARGIN, HEIGHT - 12), GREY)


def _write(image: np.ndarray, text: str, place: tuple[int, int], color) -> None:
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, color, 1, cv2.LINE_AA)
