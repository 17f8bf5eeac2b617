"""Finds the faces of a video: known ones where they are expected, new ones a little at a time.

The whole cascade costs several times what recognising a face does. So each known face is carried
from frame to frame by O-Net alone, and the search for new ones is spread over a few frames and
runs in a thread beside everything else. The whole frame is searched at once only where that is
due: in the first frame, where the frames change their size or stand far apart in time, and where
every face was lost. Before a camera the last two must not happen all the time: frames stand far
apart there also because the search is slow, and each search would bring on the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import numpy as np

from realtime.detection.area import AreaSampler
from realtime.detection.mtcnn import Detector
from realtime.detection.pyramid import PyramidPart, pyramid, spread
from realtime.detection.track import COAST, Tracker
from realtime.faces import Face
from realtime.sources.frame import Frame
from realtime.timing import StageTimer

SEARCH_FRAMES = 4
"""In how many frames the whole pyramid is searched once. What is found belongs to the frame after,
so a new face has its id in the fifth frame at the latest."""


REST = 3.0
"""By how many times as long as it took a search of the whole frame is followed by none, before a
camera: so no more than a quarter of the time goes into them, however slow the machine is."""


class FaceFinder:
    """Faces with ids, frame by frame. One thread at a time.

    The result depends on the frames alone, not on the speed of the search: each frame waits for
    that of the frame before. Only how often the whole frame is searched depends on its speed where
    the frames are live (:attr:`Frame.captured`). It never reads a frame after :meth:`find`
    returned.

    detector: stays open when the finder is closed. still: every frame is a picture of its own,
    searched as a whole. clock: seconds, by which the searches of the whole frame are timed. alone:
    search in the calling thread, for where every core has a finder of its own.
    """

    def __init__(
        self,
        detector: Detector,
        timer: StageTimer,
        still: bool = False,
        clock: Callable[[], float] = time.monotonic,
        alone: bool = False,
    ):
        self.detector = detector
        self.tracker = Tracker()
        self._timer = timer
        self._still = still
        self._size: tuple[int, int] | None = None
        self._time = -np.inf
        self._clock, self._rests_until = clock, -np.inf
        self._portions: list[list[PyramidPart]] = []
        self._turn = 0
        self._thread = _NoThread() if alone else ThreadPoolExecutor(1, "search")
        self._search: Future[list[Face]] | None = None

    def find(self, frame: Frame) -> list[Face]:
        """The faces of the next frame with box, score, landmarks and id, largest first."""
        image, found = frame.image, self._found()
        if self._new_scene(frame) or self._still:
            faces = self._detected(image)
        else:
            known = _boxes(self.tracker.expected(frame.time), found)
            faces = self._followed(image, known, _boxes(self.tracker.hidden(frame.time)))
            if not faces and len(known) and self._rested(frame):
                faces = self._detected(image)
        faces = sorted(faces, key=lambda face: -face.size)[: self.detector.max_faces]
        with self._timer("track"):
            return self.tracker.update(faces, frame.time)

    def _new_scene(self, frame: Frame) -> bool:
        """Whether what was seen before says nothing about this frame."""
        gap, self._time = frame.time - self._time, frame.time
        size = frame.image.shape[:2]
        if size == self._size:
            return gap > COAST and self._rested(frame)
        self._size = size
        self._portions = spread(pyramid(size[0], size[1], self.detector.min_face), SEARCH_FRAMES)
        return True

    def _rested(self, frame: Frame) -> bool:
        """Whether there is time to search the whole frame."""
        return frame.captured is None or self._clock() >= self._rests_until

    def _portion(self) -> list[PyramidPart]:
        """What of the pyramid is searched in this frame."""
        if not self._portions:  # the image is too small for any face
            return []
        self._turn = (self._turn + 1) % len(self._portions)
        return self._portions[self._turn]

    def _detected(self, image: np.ndarray) -> list[Face]:
        started = self._clock()
        with self._timer("detect"):
            faces = self.detector.detect(image)
        ended = self._clock()
        self._rests_until = ended + REST * (ended - started)
        return faces

    def _followed(self, image: np.ndarray, known: np.ndarray, hidden: np.ndarray) -> list[Face]:
        """The faces that are where they are expected (boxes, float32 (n, 4)). Beside it the search
        for others than the `known` goes on, to end in the next frame."""
        sampling = self._thread.submit(AreaSampler, image)
        self._search = self._thread.submit(self._beside, sampling, self._portion(), known)
        with self._timer("refine"):
            found = self.detector.refine(image, np.concatenate([known, hidden]))
        sampling.result()  # from here on the image may be drawn on
        return [face for face in found if face]

    def _beside(
        self, sampling: Future[AreaSampler], parts: list[PyramidPart], known: np.ndarray
    ) -> list[Face]:
        with self._timer("search"):
            return self.detector.search(sampling.result(), parts, known)

    def _found(self) -> list[Face]:
        """What the search of the frame before found."""
        if self._search is None:
            return []
        search, self._search = self._search, None  # one that failed must not fail again for ever
        with self._timer("wait"):
            return search.result()

    def close(self) -> None:
        self._thread.shutdown()


class _NoThread(Executor):
    """Does what it is given at once, in the thread that gives it."""

    def submit(self, function, /, *arguments, **options) -> Future:
        done: Future = Future()
        try:
            done.set_result(function(*arguments, **options))
        except Exception as error:
            done.set_exception(error)  # raised where the result is asked for
        return done


def _boxes(boxes: list[np.ndarray], faces: Iterable[Face] = ()) -> np.ndarray:
    """Boxes, then those of faces, float32 (n, 4)."""
    return np.array([*boxes, *(face.box for face in faces)], np.float32).reshape(-1, 4)
