"""Draws what was recognised on the picture, legible from 360p to 4K, on light and on dark."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from realtime.capture import Progress
from realtime.faces import EXPRESSIONS, Face, HeadPose
from realtime.output.paint import (
    DARK,
    FRACTION_BITS,
    PLAIN,
    Rect,
    clamped,
    draw_bar,
    draw_plate,
    draw_tag,
    draw_text,
    fixed,
    text_width,
    wrapped,
)
from realtime.output.ring import draw_ring

COLORS = {
    "neutral": (178, 196, 214),
    "happiness": (255, 204, 64),
    "surprise": (255, 146, 56),
    "sadness": (92, 158, 255),
    "anger": (255, 84, 76),
    "disgust": (126, 211, 88),
    "fear": (190, 134, 255),
    "contempt": (64, 214, 202),
}
"""RGB by expression."""

AXIS_COLORS = ((255, 64, 64), (64, 224, 96), (72, 140, 255))
"""RGB of the x, y and z axis of the head."""

_HIGHEST_SHARE = 0.45  # of the frame height that the bars of one face may take


def draw(
    image: np.ndarray,
    faces: Sequence[Face],
    *,
    fps: float | None = None,
    show_pose: bool = True,
    note: str | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Draws faces **into** `image` (uint8 H×W×3, RGB, contiguous, writable) and returns it.

    Each face gets its box, id and label with the label's own probability; bars for all expressions
    stand beside it where that covers no other face, and the pose axes start at its nose: x red, y
    green and z blue, as the columns of :meth:`HeadPose.matrix`. A face without expression or pose
    gets what it has. The bars show the intensity of a face that has one, the probability of any
    other. `progress`: of a capture, shown as a ring around its face that fills, in place of bars.
    `fps` is written into the top left corner, `note` into the bottom left one.
    """
    height = image.shape[0]
    by_size = sorted(faces, key=lambda face: face.size)
    for face in by_size:
        _draw_box(image, face)
    size = max(12.0, 0.03 * height)
    taken = [_rect(face.box) for face in faces]
    captured = None
    if progress:
        if progress.track_id is not None:
            captured = next((face for face in faces if face.track_id == progress.track_id), None)
        if captured:
            taken += draw_ring(image, captured, progress, _text_size(image, captured))
        else:
            note = "   ".join(filter(None, (note, progress.message)))
    if fps is not None:
        taken.append(draw_tag(image, [f"{fps:.0f} fps"], 0.6 * size, 0.6 * size, size))
    if note:
        lines = wrapped(note, image.shape[1] - 2.4 * size, size)
        top = height - (1.0 + 1.3 * len(lines)) * size
        taken.append(draw_tag(image, lines, 0.6 * size, top, size))
    for face in reversed(by_size):  # the nearest faces choose their places first
        _draw_label(image, face, taken)
    for face in reversed(by_size):
        if face.expression is not None and face is not captured:
            lengths = face.expression if face.intensity is None else face.intensity
            _draw_bars(image, face, lengths, taken, alone=len(faces) == 1)
    if show_pose:
        for face in by_size:
            if face.pose is not None:
                draw_axes(image, face.landmarks[2], face.pose, 0.45 * face.size)
    return image


def in_mirror(image: np.ndarray, faces: Sequence[Face]) -> tuple[np.ndarray, list[Face]]:
    """A copy of `image` mirrored left to right and the faces as they lie in it, for drawing.

    What is recorded or printed stays with the faces as they came in.
    """
    return cv2.flip(image, 1), [face.mirrored(image.shape[1]) for face in faces]


def draw_axes(image: np.ndarray, origin: np.ndarray, pose: HeadPose, length: float) -> None:
    """Draws the axes of a head pose into `image` from `origin` (x, y), `length` pixels long."""
    axes = pose.matrix()
    thickness = max(1, round(length / 28))
    for axis in np.argsort(axes[2]):  # what points toward the camera covers the rest
        tip = origin + length * np.array([axes[0, axis], -axes[1, axis]])
        for color, extra in ((DARK, 2), (AXIS_COLORS[axis], 0)):
            ends = [fixed(point) for point in (origin, tip)]
            width = thickness + extra
            cv2.line(image, ends[0], ends[1], color, width, cv2.LINE_AA, FRACTION_BITS)
            radius = round((0.9 * thickness + extra / 2 + 0.5) * (1 << FRACTION_BITS))
            cv2.circle(image, ends[1], radius, color, -1, cv2.LINE_AA, FRACTION_BITS)


def _draw_box(image: np.ndarray, face: Face) -> None:
    x1, y1, x2, y2 = map(float, face.box)
    side = min(x2 - x1, y2 - y1)
    thickness = max(1, round(face.size / 60))
    radius, arm = 0.12 * side, 0.26 * side
    turn = np.radians(np.arange(0, 91, 15))
    arc = np.stack([radius - radius * np.sin(turn), radius - radius * np.cos(turn)], axis=1)
    corner = np.concatenate([[[arm, 0.0]], arc, [[0.0, arm]]])
    corners = [
        np.rint((np.array([x, y]) + corner * [sx, sy]) * (1 << FRACTION_BITS)).astype(np.int32)
        for x, sx in ((x1, 1), (x2, -1))
        for y, sy in ((y1, 1), (y2, -1))
    ]
    for color, extra in ((DARK, 2), (_color(face), 0)):
        cv2.polylines(image, corners, False, color, thickness + extra, cv2.LINE_AA, FRACTION_BITS)


def _draw_label(image: np.ndarray, face: Face, taken: list[Rect]) -> None:
    """The id and the label with its probability on a plate above the box, below it or inside."""
    words = []
    if face.track_id is not None:
        words.append((f"#{face.track_id}", PLAIN))
    if face.expression is not None:
        words.append((face.label, _color(face)))
        words.append((f"{100 * face.probability:.0f} %", PLAIN))
    if not words:
        return
    size = _text_size(image, face)
    gap = 0.4 * size
    wide = sum(text_width(text, size) for text, _ in words) + gap * (len(words) + 1)
    high = 1.6 * size
    x1, y1, _, y2 = map(float, face.box)
    space = 0.35 * size
    places = [(x1, y1 - high - space), (x1, y2 + space)]
    rect = _first_free(image, places, wide, high, taken)
    rect = rect or clamped(image, x1 + space, y1 + space, wide, high)
    taken.append(rect)
    draw_plate(image, rect, 0.35 * size)
    x = rect[0] + gap
    for text, color in words:
        draw_text(image, text, x, rect[1] + 1.14 * size, size, color)
        x += text_width(text, size) + gap


def _draw_bars(
    image: np.ndarray, face: Face, lengths: np.ndarray, taken: list[Rect], alone: bool
) -> None:
    """A plate with a bar for each expression beside the box; none where there is no room."""
    size = 0.9 * _text_size(image, face)
    row = min(1.5 * size, _HIGHEST_SHARE * image.shape[0] / (len(EXPRESSIONS) + 0.8))
    size = row / 1.5
    names = max(text_width(name, size) for name in EXPRESSIONS)
    bar = 5 * size
    wide, high = names + bar + 2.2 * size, row * (len(EXPRESSIONS) + 0.6)
    if not alone and face.size < 0.7 * high:
        return
    x1, y1, x2, _ = map(float, face.box)
    space = 0.8 * size
    places = [(x2 + space, y1), (x1 - space - wide, y1)]
    rect = _first_free(image, places, wide, high, taken)
    if rect is None and alone:  # a face that fills the frame: rather cover its edge than be gone
        roomy = max(places, key=lambda place: _inside(image, place[0], wide))
        rect = clamped(image, *roomy, wide, high)
    if rect is None:
        return
    taken.append(rect)
    draw_plate(image, rect, 0.5 * size)
    shown = EXPRESSIONS.index(face.label)
    left, y = rect[0] + 0.7 * size, rect[1] + 0.3 * row
    start = left + names + 0.7 * size
    for index, name in enumerate(EXPRESSIONS):
        bright = PLAIN if index == shown else (168, 176, 184)
        draw_text(image, name, left, y + 0.68 * row, size, bright, 600 if index == shown else 400)
        top, bottom = y + 0.3 * row, y + 0.7 * row
        draw_bar(image, start, top, start + bar, bottom, (92, 100, 110))
        end = start + bar * float(lengths[index])
        draw_bar(image, start, top, end, bottom, COLORS[name])
        y += row


def _first_free(
    image: np.ndarray, places: list[tuple[float, float]], wide: float, high: float, taken
) -> Rect | None:
    """The first place, moved into the frame by its height, that covers nothing taken."""
    for x, y in places:
        rect = clamped(image, x, y, wide, high)
        outside = abs(rect[0] - x) > 0.5 * wide
        if not outside and not any(_overlap(rect, other) for other in taken):
            return rect
    return None


def _overlap(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _inside(image: np.ndarray, x: float, wide: float) -> float:
    """How many of `wide` columns from `x` lie in the frame."""
    return min(x + wide, image.shape[1]) - max(x, 0)


def _text_size(image: np.ndarray, face: Face) -> float:
    """Pixels: grows with the face between what is just legible and what is loud in this frame."""
    height = image.shape[0]
    return float(np.clip(0.09 * face.size, max(10.0, 0.0125 * height), max(12.0, 0.032 * height)))


def _color(face: Face) -> tuple[int, int, int]:
    return PLAIN if face.expression is None else COLORS[face.label]


def _rect(box: np.ndarray) -> Rect:
    x1, y1, x2, y2 = map(float, box)
    return x1, y1, x2, y2
