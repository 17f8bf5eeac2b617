"""Pictures of a face as a webcam would have taken them a moment later: moved, lit, turned."""

from __future__ import annotations

import cv2
import numpy as np


def moved_and_lit(
    image: np.ndarray, random: np.random.Generator, turn: float, shift: float
) -> np.ndarray:
    """`image` (uint8 H×W×C or H×W) turned in its plane by up to `turn` degrees and moved by up to
    `shift` pixels, in light 20 % stronger or weaker, with another gamma and a sensor's noise."""
    height, width = image.shape[:2]
    matrix = np.array(
        cv2.getRotationMatrix2D(
            ((width - 1) / 2, (height - 1) / 2), random.uniform(-turn, turn), 1.0
        ),
        dtype=np.float64,
    )
    matrix[:, 2] += random.uniform(-shift, shift, 2)
    moved = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return noisy(lit(moved, random.uniform(0.8, 1.2), random.uniform(0.8, 1.25)), random)


def lit(image: np.ndarray, gain: float, gamma: float = 1.0) -> np.ndarray:
    """`image` (uint8) with its values multiplied by `gain`, then raised to `gamma`."""
    return np.round(255 * np.clip(image / 255 * gain, 0, 1) ** gamma).astype(np.uint8)


def exposed(image: np.ndarray, stops: float) -> np.ndarray:
    """`image` (uint8, sRGB taken as gamma 2.2) with 2**stops as much light."""
    return lit(image, 2 ** (stops / 2.2))


def noisy(
    image: np.ndarray, random: np.random.Generator, least: float = 1.0, most: float = 5.0
) -> np.ndarray:
    """`image` (uint8) with Gaussian noise of `least` to `most` levels."""
    noise = random.normal(0, random.uniform(least, most), image.shape)
    return np.clip(np.round(image + noise), 0, 255).astype(np.uint8)
