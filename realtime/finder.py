"""Finds the faces of a video: known ones where they are expected, new ones a little at a time.

The whole cascade costs several times what recognising a face does. So each known face is carried
from frame to frame by O-Net alone, and the search for new ones is spread over a few frames. The
whole frame is searched at once only where nothing is known.
"""

from __future__ import annotations

import numpy as np

from realtime.detect import Detector
from realtime.faces import Face
from realtime.pyramid import PyramidPart, pyramid, spread
from realtime.source import Frame
from realtime.timing import StageTimer
from realtime.track import Tracker

SEARCH_FRAMES = 4
"""In how many frames the whole pyramid is searched once."""


class FaceFinder:
    """Faces with ids, frame by frame. One thread at a time.

    detector: owned by the finder. still: every frame is a picture of its own, searched as a whole.
    """

    def __init__(self, detector: Detector, timer: StageTimer, still: bool = False):
        self.detector = detector
        self.tracker = Tracker()
        self._timer = timer
        self._still = still
        self._size: tuple[int, int] | None = None
        self._portions: list[list[PyramidPart]] = []
        self._turn = 0

    def find(self, frame: Frame) -> list[Face]:
        """The faces of the next frame with box, score, landmarks and id, largest first."""
        expected = [] if self._still else self.tracker.expected(frame.time)
        if self._new_size(frame.image) or not expected:
            with self._timer("detect"):
                faces = self.detector.detect(frame.image)
        else:
            with self._timer("refine"):
                carried = self._carried(frame.image, expected)
            with self._timer("search"):
                faces = carried + self._found(frame.image, carried)
        faces = sorted(faces, key=lambda face: -face.size)[: self.detector.max_faces]
        with self._timer("track"):
            return self.tracker.update(faces, frame.time)

    def _new_size(self, image: np.ndarray) -> bool:
        """Whether the frames have another size from here on; then the portions are made anew."""
        if image.shape[:2] == self._size:
            return False
        self._size = image.shape[:2]
        self._portions = spread(pyramid(*self._size, self.detector.min_face), SEARCH_FRAMES)
        return True

    def _carried(self, image: np.ndarray, expected: list[np.ndarray]) -> list[Face]:
        return [face for face in self.detector.refine(image, np.stack(expected)) if face]

    def _found(self, image: np.ndarray, known: list[Face]) -> list[Face]:
        if not self._portions:
            return []
        self._turn = (self._turn + 1) % len(self._portions)
        return self.detector.search(image, self._portions[self._turn], known)

    def close(self) -> None:
        self.detector.close()
