"""Exact resampling by area, for as many sizes and crops of one image as one likes.

MTCNN's networks decide between overlapping windows on score differences that are far below one
grey level: interpolating the pyramid another way, or rounding it to uint8, moves the chosen box
of a face in twenty by more than a tenth of its size. So levels and crops are means over exactly
the pixels that the reference averages, as float32.
"""

from __future__ import annotations

import cv2
import numpy as np


class AreaSampler:
    """The mean colour over any rectangle of one image, from a summed-area table (Crow 1984).

    image: uint8 H×W×3. Building the table reads every pixel once; after that a level or a crop
    costs four look-ups for each pixel that comes out, however large the area it covers.
    """

    def __init__(self, image: np.ndarray):
        self.height, self.width = image.shape[:2]
        # 32 bits suffice for any image: the sums may wrap, their differences do not.
        self._sums = cv2.integral(image, sdepth=cv2.CV_32S)

    def resized(
        self, height: int, width: int, rows: tuple[int, int] | None = None
    ) -> np.ndarray:
        """The whole image at another size: float32 height×width×3, 0 to 255.

        rows: only those from the first up to the second of it.
        """
        top, bottom = (edges[slice(*(rows or (0, height)))] for edges in _bins(self.height, height))
        left, right = _bins(self.width, width)
        bands = self._sums[bottom] - self._sums[top]
        totals = bands.take(right, axis=1) - bands.take(left, axis=1)
        counts = np.multiply.outer(bottom - top, right - left)
        return totals.astype(np.float32) / counts[..., None].astype(np.float32)

    def crops(self, starts: np.ndarray, ends: np.ndarray, size: int) -> np.ndarray:
        """Rectangles of the image at one size: float32 (n, size, size, 3), 0 to 255.

        starts, ends: int (n, 2), x and y of the first pixel and of the one after the last; all
        inside the image, none empty.
        """
        left, right = _bins((ends - starts)[:, :1], size)
        top, bottom = _bins((ends - starts)[:, 1:], size)
        counts = (bottom - top)[:, :, None] * (right - left)[:, None, :]
        left, right = ((x + starts[:, :1])[:, None, :] for x in (left, right))
        stride = self.width + 1
        top, bottom = (((y + starts[:, 1:]) * stride)[:, :, None] for y in (top, bottom))
        flat = self._sums.reshape(-1, 3)
        totals = flat.take(bottom + right, axis=0)
        totals -= flat.take(bottom + left, axis=0)
        totals -= flat.take(top + right, axis=0)
        totals += flat.take(top + left, axis=0)
        return totals.astype(np.float32) / counts[..., None].astype(np.float32)


def _bins(length, count: int) -> tuple[np.ndarray, np.ndarray]:
    """First pixel and one past the last of each of `count` bins over `length` pixels.

    Neighbouring bins share a pixel where the division leaves a rest (adaptive average pooling).
    """
    edges = np.arange(count + 1) * length
    return edges[..., :-1] // count, -(-edges[..., 1:] // count)
