"""Made-up pictures and landmarks for tiny copies of dataset layouts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from realtime.align import TEMPLATE

POINTS = (TEMPLATE * 90 / 112 + 4).astype(np.float64)
"""Five landmarks in a picture of 100×100 pixels."""


def save_picture(path: Path, seed: int, size: int = 100, grey: bool = False) -> np.ndarray:
    """Write a smooth random picture and return it as it will be read: (size, size, 1 or 3), RGB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (8, 8) if grey else (8, 8, 3)
    coarse = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR))
    if grey:
        return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)[:, :, None]
    return cv2.imread(str(path))[:, :, ::-1]


def points_of_68(five: np.ndarray) -> np.ndarray:
    """68 points (68, 2) whose eye centres, nose tip and mouth corners are these five (5, 2)."""
    points = np.zeros((68, 2))
    ring = np.array([[-3, 0], [-1, -2], [1, -2], [3, 0], [1, 2], [-1, 2]])
    points[36:42], points[42:48] = five[0] + ring, five[1] + ring
    points[30], points[48], points[54] = five[2:]
    return points


def labels_of(data, split: str) -> list[str]:
    """Class names of the faces of a split, in file order."""
    return [data.classes[index] if index >= 0 else "" for index in data.label[data.rows(split)]]
