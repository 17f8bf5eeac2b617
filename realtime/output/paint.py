"""What the overlay is made of: plates, bars and text, drawn into a picture (uint8 H×W×3, RGB)."""

from __future__ import annotations

import threading

import cv2
import numpy as np

PLAIN = (235, 240, 245)
DARK = (16, 20, 26)
FRACTION_BITS = 4  # of pixel positions given to OpenCV, so that lines move smoothly

Rect = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""


def draw_tag(image: np.ndarray, lines: list[str], x: float, y: float, size: float) -> Rect:
    wide = max(text_width(line, size) for line in lines)
    rect = (x, y, x + wide + 1.2 * size, y + (0.4 + 1.3 * len(lines)) * size)
    draw_plate(image, rect, 0.4 * size)
    for number, line in enumerate(lines):
        draw_text(image, line, x + 0.6 * size, y + (1.2 + 1.3 * number) * size, size, PLAIN)
    return rect


def wrapped(text: str, wide: float, size: float) -> list[str]:
    """The text in lines of at most `wide` pixels; a word longer than that has its own."""
    words = text.split(" ")
    lines = [words[0]]
    for word in words[1:]:
        longer = f"{lines[-1]} {word}"
        if text_width(longer, size) > wide:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def draw_plate(image: np.ndarray, rect: Rect, radius: float) -> None:
    """A dark, translucent rectangle with round corners."""
    height, width = image.shape[:2]
    x1, y1 = max(0, int(rect[0])), max(0, int(rect[1]))
    x2, y2 = min(width, int(rect[2]) + 1), min(height, int(rect[3]) + 1)
    if x1 >= x2 or y1 >= y2:
        return
    part = image[y1:y2, x1:x2]
    plate = part.copy()
    arc = max(1, round(min(radius, (x2 - x1) / 2, (y2 - y1) / 2)))
    right, bottom = x2 - x1 - 1, y2 - y1 - 1
    cv2.rectangle(plate, (arc, 0), (right - arc, bottom), DARK, -1)
    cv2.rectangle(plate, (0, arc), (right, bottom - arc), DARK, -1)
    for x in (arc, right - arc):
        for y in (arc, bottom - arc):
            cv2.circle(plate, (x, y), arc, DARK, -1, cv2.LINE_AA)
    cv2.addWeighted(plate, 0.82, part, 0.18, 0, dst=part)


def draw_bar(image, x1: float, y1: float, x2: float, y2: float, color) -> None:
    """A bar with round ends that reaches exactly from x1 to x2; a very short one is a dot."""
    thick = min(y2 - y1, x2 - x1)
    middle = (y1 + y2) / 2
    ends = [fixed((x, middle)) for x in (x1 + thick / 2, x2 - thick / 2)]
    if thick >= 1:
        cv2.line(image, ends[0], ends[1], color, round(thick), cv2.LINE_AA, FRACTION_BITS)


def clamped(image: np.ndarray, x: float, y: float, wide: float, high: float) -> Rect:
    height, width = image.shape[:2]
    x, y = max(0.0, min(x, width - wide)), max(0.0, min(y, height - high))
    return x, y, x + wide, y + high


def fixed(point) -> tuple[int, int]:
    x, y = (round(float(value) * (1 << FRACTION_BITS)) for value in point)
    return x, y


def text_width(text: str, size: float, weight: int = 600) -> int:
    return cv2.getTextSize((0, 0), text, (0, 0), _FONTS.sans, round(size), weight)[2]


def draw_text(image, text: str, x: float, y: float, size: float, color, weight=600) -> None:
    """`y` is the base line."""
    cv2.putText(image, text, (round(x), round(y)), color, _FONTS.sans, round(size), weight)


class _Fonts(threading.local):
    """OpenCV mixes up the letters of threads that share a font, so each has its own."""

    def __init__(self):
        self.sans = cv2.FontFace("sans")


_FONTS = _Fonts()
