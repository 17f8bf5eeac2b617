"""Five points to an aligned face, the same for training and run time."""

from __future__ import annotations

import cv2
import numpy as np

FACE_SIZE = 112

TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    dtype=np.float32,
)
"""Where the five points of :data:`realtime.faces.LANDMARKS` lie in an aligned 112×112 face
(the usual template of face recognition, from InsightFace)."""


def similarity_transform(points: np.ndarray, target: np.ndarray = TEMPLATE) -> np.ndarray:
    """The 2×3 matrix (float64) of the similarity that brings `points` closest to `target`.

    Both are (n, 2) pixel positions, n ≥ 2. Least squares in closed form: with points as complex
    numbers a similarity is one multiplication and one addition, so no reflection can come out.
    Raises ValueError where all points coincide.
    """
    source = points[:, 0].astype(np.float64) + 1j * points[:, 1]
    goal = target[:, 0].astype(np.float64) + 1j * target[:, 1]
    centred = source - source.mean()
    spread = np.vdot(centred, centred).real
    if not spread > 0:
        raise ValueError("The landmarks all lie on one point; no face can be aligned to them.")
    turn = np.vdot(centred, goal - goal.mean()) / spread
    shift = goal.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def rotation_of(transform: np.ndarray) -> float:
    """By how many degrees a 2×3 similarity turns the image clockwise."""
    return float(np.degrees(np.arctan2(transform[1, 0], transform[0, 0])))


def align(image: np.ndarray, transform: np.ndarray, size: int = FACE_SIZE) -> np.ndarray:
    """The aligned face, uint8 size×size×C (size×size for a grey image).

    `image` is uint8 H×W×C or H×W, any colour order (kept as it is); `transform` comes from
    :func:`similarity_transform`. What lies outside the image repeats its border.
    A face much larger than `size` is first reduced by area, so that it does not alias.
    """
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    factor = int(0.75 / scale) if scale > 0 else 1
    if factor > 1:
        image, transform = _reduced(image, transform, size, factor)
    return cv2.warpAffine(
        image, transform, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def _reduced(image, transform, size, factor):
    """The part of `image` that the face covers, `factor` times smaller, and its transform."""
    back = cv2.invertAffineTransform(transform)
    corners = np.array([[0, 0, 1], [size, 0, 1], [0, size, 1], [size, size, 1]]) @ back.T
    height, width = image.shape[:2]
    x1, y1 = np.clip(np.floor(corners.min(axis=0)).astype(int) - factor, 0, [width - 1, height - 1])
    x2, y2 = np.clip(
        np.ceil(corners.max(axis=0)).astype(int) + factor, [x1 + 1, y1 + 1], [width, height]
    )
    part = image[y1:y2, x1:x2]
    small_size = (max(1, (x2 - x1) // factor), max(1, (y2 - y1) // factor))
    small = cv2.resize(part, small_size, interpolation=cv2.INTER_AREA)
    step = np.array([(x2 - x1) / small_size[0], (y2 - y1) / small_size[1]])
    # Pixel centres: position p in `small` is (p + 0.5) * step - 0.5 + (x1, y1) in `image`.
    linear = transform[:, :2]
    shift = transform[:, 2] + linear @ (0.5 * step - 0.5 + np.array([x1, y1]))
    return small, np.column_stack([linear * step, shift])
