"""Reads picture files: formats, bit depths, transparency, orientation and the order in a folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

PICTURES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""What counts as a picture in a folder."""


def read_picture(path: Path) -> np.ndarray | None:
    """A picture file as uint8 H×W×3, RGB, upright by its EXIF mark; None if it cannot be read.

    Grey and 16-bit pictures are converted; what is transparent is laid over white.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError:
        return None
    with quiet_opencv():
        image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if data.size else None
        if image is None or data[:2].tobytes() == b"\xff\xd8":  # JPEG has no transparency
            return image
        stored = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if stored is None or stored.ndim < 3 or stored.shape[2] < 4:
        return image
    alpha = stored[..., 3:].astype(np.float32) / np.iinfo(stored.dtype).max
    if alpha.shape[:2] != image.shape[:2]:  # turned by EXIF, which `stored` is not
        return image
    return np.rint(image * alpha + 255 * (1 - alpha)).astype(np.uint8)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures directly in a folder, 9.png before 10.png; hidden files are left out."""
    paths = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURES and not path.name.startswith(".")
    ]
    return sorted(paths, key=lambda path: _natural(path.name))


def _natural(name: str) -> list[str | int]:
    parts = re.split(r"([0-9]+)", name.lower())
    return [int(part) if part.isdigit() and part.isascii() else part for part in parts]


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """OpenCV logs what it cannot open; here that is reported in one line of our own."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
