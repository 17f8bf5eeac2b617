"""A person of the London set in front of a camera, for tests that skip where it is absent.

DeBruine & Jones 2017, Face Research Lab London Set, CC BY 4.0, figshare 5047666.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from realtime.measure.vary import lit, noisy
from tests.realtime.support.paths import ROOT

_PLACES = [parent / "shared/data/london" for parent in ROOT.parents]
LONDON = next((place for place in _PLACES if place.is_dir()), None)
FAINT = "173"
"""Somebody whose smile the network alone takes for neutral."""

needs_london = pytest.mark.skipif(LONDON is None, reason="needs ../shared/data/london")


def photograph(name: str, expression: str) -> np.ndarray:
    """uint8 480×640×3, RGB, the face in the middle."""
    picture = cv2.imread(f"{LONDON}/{name}_{expression}.jpg")[..., ::-1]
    scale = 480 / picture.shape[0]
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    left = (640 - small.shape[1]) // 2
    right = 640 - small.shape[1] - left
    return cv2.copyMakeBorder(small, 0, 0, left, right, cv2.BORDER_REPLICATE)


def filmed(picture: np.ndarray, frames: int, seed: int = 0) -> Iterator[np.ndarray]:
    """The picture as a camera films somebody who keeps still: it shakes a little, with noise."""
    random = np.random.default_rng(seed)
    for _ in range(frames):
        matrix = np.float32([[1, 0, random.normal(0, 0.4)], [0, 1, random.normal(0, 0.4)]])
        moved = cv2.warpAffine(picture, matrix, (640, 480), borderMode=cv2.BORDER_REPLICATE)
        yield noisy(lit(moved, 1 + 0.03 * random.normal()), random, 1, 4)
