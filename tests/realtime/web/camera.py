"""Clips for Chromium's fake camera, made from the public-domain astronaut."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from skimage.data import astronaut

WIDTH, HEIGHT = 640, 480
CROP = (80, 20, 360, 300)  # x1, y1, x2, y2 of her head and shoulders in the photo
NOSE = 0.52  # where her nose is in the crop, as a share of its width
TILT = 12.0  # degrees clockwise


def turned_to_the_right(tilt: float = TILT) -> np.ndarray:
    """A face that turns to the image's right and tilts clockwise; uint8 480×640×3, RGB.

    The far cheek is foreshortened and the near one widened, as when a head turns: the pipeline
    sees a yaw of about +15°, and of −15° in the mirror.
    """
    x1, y1, x2, y2 = CROP
    head = astronaut()[y1:y2, x1:x2]
    height, width = head.shape[:2]
    offset = np.arange(width, dtype=np.float32) - NOSE * width
    source = NOSE * width + np.where(offset < 0, 0.5 * offset, 1.5 * offset)
    columns = np.tile(source.astype(np.float32), (height, 1))
    rows = np.tile(np.arange(height, dtype=np.float32)[:, None], (1, width))
    face = cv2.remap(head, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    turn = cv2.getRotationMatrix2D((NOSE * width, 0.4 * height), -tilt, 1.5)
    turn[:, 2] += [WIDTH / 2 - NOSE * width, 0.45 * HEIGHT - 0.4 * height]
    return cv2.warpAffine(face, turn, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)


def write_clip(path: Path, frames: int = 60) -> Path:
    """The face above, swaying by a few pixels, as Motion JPEG; the fake camera loops it."""
    image = turned_to_the_right()[..., ::-1]
    with open(path, "wb") as clip:
        for index in range(frames):
            sway = 6 * np.sin(2 * np.pi * index / frames)
            shift = np.float32([[1, 0, sway], [0, 1, 0]])
            frame = cv2.warpAffine(image, shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
            clip.write(cv2.imencode(".jpg", frame)[1].tobytes())
    return path
