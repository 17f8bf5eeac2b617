"""A person of the London set in front of a camera, for tests that skip where it is absent.

DeBruine & Jones 2017, Face Research Lab London Set, CC BY 4.0, figshare 5047666.
"""

import cv2
import numpy as np
import pytest

from realtime.measure.vary import lit, noisy
from tests.realtime.support.paths import ROOT

LONDON = next(
    (path for path in (ROOT.parent / "shared/data/london", ROOT.parents[1] / "shared/data/london")
     if path.is_dir()),
    None,
)  # fmt: skip
FAINT = "001"
"""Somebody whose smile the network alone takes for neutral."""

needs_london = pytest.mark.skipif(LONDON is None, reason="needs ../shared/data/london")


def photograph(name: str, expression: str) -> np.ndarray:
    """uint8 480×640×3, RGB, the face in the middle."""
    picture = cv2.imread(str(LONDON / f"{name}_{expression}.jpg"))[..., ::-1]
    scale = 480 / picture.shape[0]
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    sides = (640 - small.shape[1]) / 2
    return cv2.copyMakeBorder(
        small, 0, 0, int(sides), -int(-sides // 1), cv2.BORDER_REPLICATE
    )  # fmt: skip


def filmed(picture: np.ndarray, frames: int, seed: int = 0):
    """The picture as a camera films somebody who keeps still: it shakes a little, with noise."""
    random = np.random.default_rng(seed)
    for _ in range(frames):
        matrix = np.float32([[1, 0, random.normal(0, 0.4)], [0, 1, random.normal(0, 0.4)]])
        moved = cv2.warpAffine(picture, matrix, (640, 480), borderMode=cv2.BORDER_REPLICATE)
        yield noisy(lit(moved, 1 + 0.03 * random.normal()), random, 1, 4)
