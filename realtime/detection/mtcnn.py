"""Finds faces: the MTCNN cascade in NumPy and OpenCV over three engine sessions.

Paper: Zhang, Zhang, Li, Qiao, "Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks", 2016. P-Net proposes windows on an image pyramid, R-Net refines them,
O-Net gives the final boxes and the five landmarks. Boxes and landmarks agree with those of
facenet-pytorch's MTCNN; a test runs both.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np

from engine import processors
from engine.session import Session, open_session
from realtime.detection.area import AreaSampler
from realtime.detection.boxes import nms, nms_over_smaller, overlap, shifted, sides, squared
from realtime.detection.pyramid import STRIDE, WINDOW, PyramidPart, pyramid
from realtime.faces import Face

R_SIZE = 24
O_SIZE = 48

KNOWN = 0.5
"""A box is a known face's where it shares at least this part of the smaller of the two."""


LOOK_AGAIN = 0.05
"""O-Net looks again at a face that it saw further than this, in face sizes, from where it was
expected; from nearer, its landmarks are within the jitter that the whole cascade has."""

RNET_MIDDLE, RNET_SIDE = np.array([0.51, 0.53], np.float32), 0.955
"""Middle (x, y) and side of R-Net's boxes in squared ones of O-Net for the same faces: means over
those of two clips."""


class DetectorError(ValueError):
    """The detector cannot be made like this. The message is one line that tells the fix."""


class Detector:
    """MTCNN. Any threads may use it at the same time; a context manager that frees its sessions.

    min_face: the smallest face to look for, in pixels, at least 12. Time falls with its square.
    thresholds: least face probability after P-, R- and O-Net.
    max_faces: keep this many, the largest; None keeps all.
    backend, device, threads, precision: as in :func:`engine.session.open_session`, but for None as
        threads, which is half the cores here: searching and carrying run side by side.

    Raises DetectorError for options out of range and EngineError where a network cannot be opened.
    """

    def __init__(
        self,
        min_face: int = 40,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
        max_faces: int | None = None,
        backend: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        precision: str = "auto",
    ):
        self._set_limits(min_face, max_faces)
        if not all(0 < threshold < 1 for threshold in thresholds):
            raise DetectorError(f"Thresholds are probabilities between 0 and 1, not {thresholds}.")
        self.thresholds = thresholds
        threads = threads or max(1, processors.usable() // 2)
        self._sessions: list[Session] = []
        try:
            for net in ("pnet", "rnet", "onet"):
                session = open_session(f"mtcnn_{net}", backend, device, precision, threads)
                self._sessions.append(session)
        except BaseException:
            self.close()
            raise
        self._pnet, self._rnet, self._onet = self._sessions

    def with_limits(self, min_face: int, max_faces: int | None) -> Detector:
        """One that looks for other faces with the same networks, which are closed by closing
        either. DetectorError for limits out of range."""
        other = copy.copy(self)
        other._set_limits(min_face, max_faces)
        return other

    def _set_limits(self, min_face: int, max_faces: int | None) -> None:
        if min_face < WINDOW:
            raise DetectorError(f"A face of {min_face} px is too small to find: use 12 or more.")
        if max_faces is not None and max_faces < 1:
            raise DetectorError(f"At most {max_faces} faces leaves none: use 1 or more.")
        self.min_face, self.max_faces = min_face, max_faces

    @property
    def description(self) -> str:
        """What P-Net really runs with; `engines` has all three."""
        return self._pnet.description

    @property
    def engines(self) -> dict[str, str]:
        """Name of each network → library, provider, precision and threads really in use."""
        return {session.path.stem: session.description for session in self._sessions}

    def detect(self, image: np.ndarray) -> list[Face]:
        """The faces in `image` (uint8 H×W×3 RGB), largest first, with box, score and landmarks.

        An image too small to hold a face of `min_face` pixels gives an empty list. ValueError
        for an array of another dtype or shape.
        """
        image = _checked(image)
        if min(image.shape[:2]) < self.min_face:
            return []
        sampler = AreaSampler(image)
        boxes = self.p_stage(sampler, pyramid(image.shape[0], image.shape[1], self.min_face))
        boxes = self.r_stage(sampler, boxes)
        faces = self.o_stage(sampler, boxes)
        return faces[: self.max_faces]

    def search(
        self, sampler: AreaSampler, parts: list[PyramidPart], known: np.ndarray
    ) -> list[Face]:
        """The faces that show in `parts` of the pyramid, apart from those whose boxes are `known`
        (float32 (n, 4)). parts: of realtime.detection.pyramid.pyramid for the size of the image.
        """
        boxes = self.p_stage(sampler, parts)
        boxes = boxes[overlap(boxes, known) < KNOWN]
        faces = self.o_stage(sampler, self.r_stage(sampler, boxes))
        return [face for face in faces if overlap(face.box[None], known)[0] < KNOWN]

    def refine(self, image: np.ndarray, boxes: np.ndarray) -> list[Face | None]:
        """The face near each of `boxes` (float32 (n, 4)), None where there is none any more.

        For faces whose place is known from the frame before. O-Net looks at each once, and once
        more where it first saw the face if that was not where it was expected. Two boxes that end
        on the same face keep it once, by score.
        """
        faces: list[Face | None] = [None] * len(boxes)
        if not len(boxes):
            return faces
        sampler, origin = _around(image, boxes)
        places = boxes - origin[[0, 1, 0, 1]]
        seen = self._look(sampler, _as_from_rnet(places))
        far = np.abs(seen.boxes - places[seen.index]).max(axis=1) > LOOK_AGAIN * sides(seen.boxes)
        if far.any():
            again = self._look(sampler, _as_from_rnet(seen.boxes[far]))
            seen = seen[~far].joined(replace(again, index=seen.index[far][again.index]))
        for kept in nms_over_smaller(seen.boxes, seen.scores, 0.7):
            faces[seen.index[kept]] = seen.face(kept, origin)
        return faces

    def p_stage(self, sampler: AreaSampler, parts: list[PyramidPart]) -> np.ndarray:
        """Proposals of P-Net over these parts of the pyramid: square boxes, float32 (n, 4)."""
        found = [self._propose(sampler, part) for part in parts]
        if not found:
            return np.empty((0, 4), np.float32)
        windows, scores, offsets = (np.concatenate(parts) for parts in zip(*found, strict=True))
        kept = nms(windows, scores, 0.7)
        return squared(shifted(windows[kept], offsets[kept], extra=0))

    def _propose(self, sampler: AreaSampler, part: PyramidPart) -> tuple[np.ndarray, ...]:
        """Windows (n, 4) in image pixels, scores (n,) and offsets (n, 4) of one part."""
        level = sampler.resized(part.height, part.width, part.rows)
        outputs = self._pnet.run({"images": level[None]})
        scores = outputs["scores"][0]
        rows, columns = np.nonzero(scores >= self.thresholds[0])
        corners = STRIDE * np.stack([columns, rows], axis=1) + [0, part.rows[0]]
        windows = np.concatenate([corners + 1, corners + WINDOW], axis=1) / np.float32(part.scale)
        windows = np.floor(windows.astype(np.float32))
        kept = nms(windows, scores[rows, columns], 0.5)
        rows, columns = rows[kept], columns[kept]
        return windows[kept], scores[rows, columns], outputs["offsets"][0][:, rows, columns].T

    def r_stage(self, sampler: AreaSampler, boxes: np.ndarray) -> np.ndarray:
        """The boxes that R-Net keeps, refined and square, float32 (m, 4)."""
        inside, crops = _crops(sampler, boxes, R_SIZE)
        if not len(crops):
            return np.empty((0, 4), np.float32)
        outputs = self._rnet.run({"images": crops})
        passed = outputs["scores"] > self.thresholds[1]
        boxes, scores = boxes[inside][passed], outputs["scores"][passed]
        kept = nms(boxes, scores, 0.7)
        return squared(shifted(boxes[kept], outputs["offsets"][passed][kept], extra=1))

    def o_stage(self, sampler: AreaSampler, boxes: np.ndarray) -> list[Face]:
        """The faces that O-Net sees in the square `boxes`, largest first."""
        seen = self._look(sampler, boxes)
        if not len(seen.boxes):
            return []
        kept = nms_over_smaller(seen.boxes, seen.scores, 0.7)
        areas = np.prod(seen.boxes[kept, 2:] - seen.boxes[kept, :2], axis=1)
        largest_first = kept[np.argsort(-areas, kind="stable")]
        return [seen.face(index) for index in largest_first]

    def _look(self, sampler: AreaSampler, boxes: np.ndarray) -> _Seen:
        """What O-Net sees in the square `boxes`."""
        inside, crops = _crops(sampler, boxes, O_SIZE)
        if not len(crops):
            return _Seen.nothing()
        outputs = self._onet.run({"images": crops})
        passed = outputs["scores"] > self.thresholds[2]
        boxes = boxes[inside][passed]
        # The crop's first pixel is the box's corner less one, hence the -1.
        spans = boxes[:, 2:] - boxes[:, :2] + 1
        return _Seen(
            index=inside[passed],
            boxes=shifted(boxes, outputs["offsets"][passed], extra=1),
            scores=outputs["scores"][passed],
            landmarks=outputs["landmarks"][passed] * spans[:, None] + boxes[:, None, :2] - 1,
        )

    def close(self) -> None:
        """Frees the three networks."""
        for session in self._sessions:
            session.close()

    def __enter__(self) -> Detector:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _checked(image: np.ndarray) -> np.ndarray:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = getattr(image, "dtype", type(image).__name__)
        raise ValueError(f"The detector takes uint8 images, not {kind}.")
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"The detector takes H×W×3 RGB images, not the shape {image.shape}.")
    return np.ascontiguousarray(image)


@dataclass(frozen=True)
class _Seen:
    """What O-Net let pass: index (m,) into the boxes it looked at, boxes (m, 4), scores (m,) and
    landmarks (m, 5, 2)."""

    index: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    landmarks: np.ndarray

    def __getitem__(self, which: np.ndarray) -> _Seen:
        return _Seen(
            self.index[which], self.boxes[which], self.scores[which], self.landmarks[which]
        )

    def joined(self, other: _Seen) -> _Seen:
        mine, others = (
            (seen.index, seen.boxes, seen.scores, seen.landmarks) for seen in (self, other)
        )
        return _Seen(*(np.concatenate(pair) for pair in zip(mine, others, strict=True)))

    @classmethod
    def nothing(cls) -> _Seen:
        empty = (np.empty((0, *rest), np.float32) for rest in ((4,), (), (5, 2)))
        return cls(np.empty(0, np.intp), *empty)

    def face(self, index: int, origin=(0, 0)) -> Face:
        """One of them, with the position of the pixel that counted as the first added."""
        shift = np.asarray(origin, np.float32)
        box, landmarks = self.boxes[index] + shift[[0, 1, 0, 1]], self.landmarks[index] + shift
        return Face(box, float(self.scores[index]), landmarks)


def _as_from_rnet(boxes: np.ndarray) -> np.ndarray:
    """Square boxes that lie to O-Net's `boxes` as those of R-Net do, from which it learnt: on
    average a little smaller and lower. Faces seen like that are lost less often."""
    boxes = squared(boxes)
    side = boxes[:, 2:] - boxes[:, :2]
    middle = boxes[:, :2] + side * RNET_MIDDLE
    half = side * (RNET_SIDE / 2)
    return np.concatenate([middle - half, middle + half], axis=1)


def _around(image: np.ndarray, boxes: np.ndarray) -> tuple[AreaSampler, np.ndarray]:
    """A sampler for the part of the image that holds the boxes with room to move, and where that
    part begins (x, y): its table costs less than that of the whole image."""
    room = 0.5 * sides(boxes)[:, None]
    height, width = image.shape[:2]
    start = np.clip((boxes[:, :2] - room).min(axis=0).astype(int), 0, [width - 1, height - 1])
    end = np.clip((boxes[:, 2:] + room).max(axis=0).astype(int), start + 1, [width, height])
    part = image[start[1] : end[1], start[0] : end[0]]
    return AreaSampler(part), start.astype(np.float32)


def _crops(sampler: AreaSampler, boxes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which boxes reach into the image (m,) and what lies in them, float32 (m, size, size, 3).

    As in the reference, corners count from 1 and the part outside the image is cut off.
    """
    corners = boxes.astype(np.int64)
    starts = np.maximum(corners[:, :2], 1) - 1
    ends = np.minimum(corners[:, 2:], [sampler.width, sampler.height])
    inside = np.flatnonzero((ends > starts).all(axis=1))
    return inside, sampler.crops(starts[inside], ends[inside], size)
