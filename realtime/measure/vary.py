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


HEAD = (1.55, 2.1, 1.7)
"""Half axes of the ellipsoid a head is taken for, in distances between eyes and mouth: to the side,
up, toward the camera."""


def turned_head(image: np.ndarray, landmarks: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    """`image` (uint8 H×W×C) as if the head had turned by yaw and pitch (degrees, the signs of
    HeadPose); what lies behind it stays. landmarks: (5, 2), see realtime.faces.LANDMARKS.

    The face is taken for the front of an ellipsoid. It is an approximation: nose and cheeks do not
    cover what is behind them.
    """
    eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0)
    centre = (eyes + mouth) / 2
    axes = np.hypot(*(mouth - eyes)) * np.array(HEAD)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    x, y = columns - centre[0], rows - centre[1]
    from_x, from_y = _before_turn(x, y, axes, np.radians(yaw), np.radians(pitch))
    inside = np.clip((1.25 - (x / axes[0]) ** 2 - (y / axes[1]) ** 2) / 0.5, 0, 1)
    map_x = columns + (from_x - x) * inside
    map_y = rows + (from_y - y) * inside
    return cv2.remap(
        image,
        map_x.astype(np.float32),
        map_y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _before_turn(x, y, axes, yaw, pitch):
    """Where the point that is seen at x, y lay before the turn: found step by step."""
    from_x, from_y = x.copy(), y.copy()
    for _ in range(12):
        inside = 1 - (from_x / axes[0]) ** 2 - (from_y / axes[1]) ** 2
        depth = axes[2] * np.sqrt(np.maximum(inside, 0))
        to_x = from_x * np.cos(yaw) + depth * np.sin(yaw)
        turned = depth * np.cos(yaw) - from_x * np.sin(yaw)
        to_y = from_y * np.cos(pitch) - turned * np.sin(pitch)
        from_x += 0.7 * (x - to_x)
        from_y += 0.7 * (y - to_y)
    return from_x, from_y
