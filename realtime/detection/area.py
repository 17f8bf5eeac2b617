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

    def resized(self, height: int, width: int, rows: tuple[int, int] | None = None) -> np.ndarray:
        """The whole image at another size: float32 height×width×3, 0 to 255.

        rows: only those from the first up to the second of it.
        """
        wanted = slice(*(rows or (0, height)))
        top, bottom = (edges[wanted, None] for edges in _bins(self.height, height))
        left, right = _bins(self.width, width)
        return self._means(top, bottom, left, right)

    def crops(self, starts: np.ndarray, ends: np.ndarray, size: int) -> np.ndarray:
        """Rectangles of the image at one size: float32 (n, size, size, 3), 0 to 255.

        starts, ends: int (n, 2), x and y of the first pixel and of the one after the last; all
        inside the image, none empty.
        """
        left, right = (
            (edges + starts[:, :1])[:, None, :] for edges in _bins((ends - starts)[:, :1], size)
        )
        top, bottom = (
            (edges + starts[:, 1:])[:, :, None] for edges in _bins((ends - starts)[:, 1:], size)
        )
        return self._means(top, bottom, left, right)

    def _means(self, top, bottom, left, right) -> np.ndarray:
        """The mean colour of each rectangle, from its first row and column and those after its
        last."""
        table, stride = self._sums.reshape(-1, 3), self.width + 1
        totals = table.take(bottom * stride + right, axis=0)
        totals -= table.take(bottom * stride + left, axis=0)
        totals -= table.take(top * stride + right, axis=0)
        totals += table.take(top * stride + left, axis=0)
        counts = (bottom - top) * (right - left)
        return np.divide(totals, counts[..., None].astype(np.float32), dtype=np.float32)


def _bins(length, count: int) -> tuple[np.ndarray, np.ndarray]:
    """First pixel and one past the last of each of `count` bins over `length` pixels.

    Neighbouring bins share a pixel where the division leaves a rest (adaptive average pooling).
    """
    edges = np.arange(count + 1) * length
    return edges[..., :-1] // count, -(-edges[..., 1:] // count)
