"""A head that turns: a picture of a face as if it looked elsewhere."""

from __future__ import annotations

import cv2
import numpy as np

HEAD = (1.55, 2.1, 1.7)
"""Half axes of the ellipsoid a head is taken for, in distances between eyes and mouth: to the side,
up, toward the camera."""


def turned_head(image: np.ndarray, landmarks: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    """`image` (uint8 H×W×C) as if the head had turned by yaw and pitch (degrees, the signs of
    HeadPose); what lies behind it stays. landmarks: (5, 2), see realtime.faces.LANDMARKS.

    The face is taken for the front of an ellipsoid. It is an approximation: nose and cheeks do not
    cover what is behind them.
    """
    centre, axes = _head(landmarks)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    x, y = columns - centre[0], rows - centre[1]
    from_x, from_y = _before_turn(x, y, axes, np.radians(yaw), np.radians(pitch))
    inside = np.clip((1.25 - (x / axes[0]) ** 2 - (y / axes[1]) ** 2) / 0.5, 0, 1)
    map_x = columns + (from_x - x) * inside
    map_y = rows + (from_y - y) * inside
    turned = cv2.remap(
        image,
        map_x.astype(np.float32),
        map_y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return turned.reshape(image.shape)  # OpenCV drops a single channel


def turned_landmarks(landmarks: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    """Where landmarks (5, 2) are in the picture that :func:`turned_head` makes; float32 (5, 2)."""
    centre, axes = _head(landmarks)
    x, y = (landmarks - centre).T
    moved = _after_turn(x, y, axes, np.radians(yaw), np.radians(pitch))
    return (np.stack(moved, axis=1) + centre).astype(np.float32)


def _head(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (2,) and half axes (3,) of the ellipsoid, in pixels."""
    eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0)
    return (eyes + mouth) / 2, np.hypot(*(mouth - eyes)) * np.array(HEAD)


def _after_turn(x, y, axes, yaw, pitch):
    """Where the point of the head that is seen at x, y is seen after the turn."""
    depth = axes[2] * np.sqrt(np.maximum(1 - (x / axes[0]) ** 2 - (y / axes[1]) ** 2, 0))
    to_x = x * np.cos(yaw) + depth * np.sin(yaw)
    turned = depth * np.cos(yaw) - x * np.sin(yaw)
    return to_x, y * np.cos(pitch) - turned * np.sin(pitch)


def _before_turn(x, y, axes, yaw, pitch):
    """Where the point that is seen at x, y lay before the turn: found step by step."""
    from_x, from_y = x.copy(), y.copy()
    for _ in range(12):
        to_x, to_y = _after_turn(from_x, from_y, axes, yaw, pitch)
        from_x += 0.7 * (x - to_x)
        from_y += 0.7 * (y - to_y)
    return from_x, from_y
