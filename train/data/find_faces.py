"""Five landmarks of the face in a picture, for datasets that give none."""

from __future__ import annotations

import numpy as np
import torch

from train.networks.facenet_pytorch import import_facenet_pytorch

SMALLEST_FACE = 20
LEAST_SCORE = 0.9


class FaceFinder:
    """MTCNN (Zhang et al. 2016) as facenet-pytorch has it, with one face a picture."""

    def __init__(self):
        device = "cuda" if torch.cuda.is_available() else "cpu"
        facenet = import_facenet_pytorch()
        self._mtcnn = facenet.MTCNN(keep_all=True, min_face_size=SMALLEST_FACE, device=device)

    def landmarks(
        self, picture: np.ndarray, box: tuple[float, float, float, float] | None = None
    ) -> np.ndarray | None:
        """The points of realtime.faces.LANDMARKS, float64 (5, 2), None where there is no face.

        picture: uint8 (h, w, 3), RGB. Of several faces the one that covers most of `box` (x1, y1,
        x2, y2 in pixels), without a box the largest.
        """
        if min(picture.shape[:2]) < SMALLEST_FACE:
            return None
        boxes, scores, points = self._mtcnn.detect(picture, landmarks=True)
        if boxes is None:
            return None
        sure = np.asarray(scores, dtype=np.float64) >= LEAST_SCORE
        boxes = np.asarray(boxes, dtype=np.float64)[sure]
        if not len(boxes):
            return None
        if box is None:
            fit = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        else:
            fit = _overlaps(boxes, np.asarray(box, dtype=np.float64))
            if not fit.max() > 0:
                return None
        return np.asarray(points, dtype=np.float64)[sure][int(np.argmax(fit))]


def _overlaps(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (n, 4) with one box (4,)."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    return shared / (areas - shared)
