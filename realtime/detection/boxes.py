"""Boxes, float32 (n, 4), x1, y1, x2, y2 in pixels: moved, squared, compared and thinned out."""

from __future__ import annotations

import cv2
import numpy as np


def shifted(boxes: np.ndarray, offsets: np.ndarray, extra: int) -> np.ndarray:
    """Boxes with each corner moved by its offset, in box sizes (plus `extra` pixels)."""
    spans = boxes[:, 2:] - boxes[:, :2] + extra
    return boxes + offsets * spans[:, [0, 1, 0, 1]]


def squared(boxes: np.ndarray) -> np.ndarray:
    """Boxes grown to squares about their centres."""
    spans = boxes[:, 2:] - boxes[:, :2]
    longer = spans.max(axis=1, keepdims=True)
    starts = boxes[:, :2] + (spans - longer) / 2
    return np.concatenate([starts, starts + longer], axis=1)


def sides(boxes: np.ndarray) -> np.ndarray:
    """The longer side of each box (n,)."""
    return (boxes[:, 2:] - boxes[:, :2]).max(axis=1)


def nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Indices kept by greedy non-maximum suppression on intersection over union, best first."""
    if len(boxes) < 2:
        return np.arange(len(boxes))
    corners_and_sides = boxes.astype(np.float64)
    corners_and_sides[:, 2:] -= corners_and_sides[:, :2]
    # OpenCV's types name lists alone, of what it takes as arrays too.
    kept = cv2.dnn.NMSBoxes(corners_and_sides, scores, 0.0, threshold)  # type: ignore[arg-type]
    return np.asarray(kept, dtype=np.intp)


def nms_over_smaller(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """The same on intersection over the smaller area: a box inside another is the same face."""
    if len(boxes) < 2:
        return np.arange(len(boxes))
    areas = np.prod(boxes[:, 2:] - boxes[:, :2] + 1, axis=1)
    starts = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    ends = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.prod(np.maximum(ends - starts + 1, 0), axis=2)
    same = shared > threshold * np.minimum(areas[:, None], areas[None])
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        if not same[index, kept].any():
            kept.append(index)
    return np.array(kept, dtype=np.intp)


def overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each of `boxes` (n, 4) the largest intersection with one of `others` (m, 4), as a share
    of the smaller of the two; 0 where there are no others."""
    starts = np.maximum(boxes[:, None, :2], others[None, :, :2])
    ends = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.maximum(ends - starts, 0), axis=2)
    areas, other_areas = (np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (boxes, others))
    return (shared / np.minimum(areas[:, None], other_areas[None])).max(axis=1, initial=0)
