"""A frame in, faces out: finder (detector and tracker) → aligner → engine → each face read against
its own rest, where that is known → smoother."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from realtime.align import align, rotation_of, similarity_transform
from realtime.capture import CaptureError
from realtime.detection.finder import FaceFinder
from realtime.detection.mtcnn import Detector
from realtime.faces import Face, HeadPose
from realtime.networks import Networks
from realtime.neutral import NeutralFaces
from realtime.recognise import Recogniser
from realtime.reference import Reference
from realtime.smooth import Smoother
from realtime.sources.frame import Frame
from realtime.timing import StageTimer

AT_ONCE = 4
"""Faces that are recognised in every frame. More of them take turns, so that each is recognised at
least in every second frame and shows in between what it showed last."""


class FacePipeline:
    """Follows the faces of one video or camera. One thread at a time; a context manager.

    Up to :data:`AT_ONCE` faces are recognised in every frame, of more at least half.

    detector, recogniser: closed with the pipeline, where it `owns` them.
    smoothing: 0 gives every frame by itself, 1 is the default, larger is steadier.
    still: the frames are pictures that have nothing to do with each other.
    alone: in the calling thread alone, see :class:`~realtime.detection.finder.FaceFinder`.
    timer: collects the time of every stage; None for one of its own. neutral: whose rest is known,
    see :class:`~realtime.neutral.NeutralFaces`.
    """

    def __init__(
        self,
        detector: Detector,
        recogniser: Recogniser,
        smoothing: float = 1.0,
        still: bool = False,
        *,
        owns: bool = True,
        timer: StageTimer | None = None,
        alone: bool = False,
    ):
        self.smoother = Smoother(0.0 if still else smoothing)
        self.timer = timer or StageTimer()
        self._owns = owns
        self._still = still
        self._last: dict[int | None, tuple[np.ndarray, HeadPose]] = {}
        self.finder = FaceFinder(detector, self.timer, still, alone=alone)
        self.recogniser = recogniser
        self.neutral = NeutralFaces(lambda: recogniser.population)

    def process(self, frame: Frame) -> list[Face]:
        """The faces of the next frame, largest first, with id, expression and pose."""
        timer = self.timer
        faces = self.finder.find(frame)
        due = self._due(faces)
        with timer("align"):
            transforms = [similarity_transform(face.landmarks) for face in due]
            crops = [align(frame.image, transform) for transform in transforms]
        with timer("recognise"):
            rotations = [rotation_of(transform) for transform in transforms]
            found = self.recogniser.recognise(np.stack(crops), rotations) if due else []
        self._remember(faces, due, found)
        faces = [self._with_last(face) for face in faces]
        # Before smoothing: a reference knows how far one frame's reading wanders at rest, and a
        # smoothed one wanders less; and the label that is held must be the label that is shown.
        faces = self.neutral.read(faces, self.finder.tracker.alive, frame.time)
        with timer("smooth"):
            return self.smoother.update(faces, frame.time)

    def capture(self, frames: Iterable[Frame]) -> Reference:
        """The reference of the largest face of these frames (two seconds of rest), which is read
        against it from then on. CaptureError where they do not make one, with what to do;
        ReferenceFileError where the model has no population."""
        self.neutral.begin_capture()
        for frame in frames:
            self.process(frame)
            if self.neutral.captured and not self.neutral.capturing:
                return self.neutral.captured
        problem = self.neutral.progress and self.neutral.progress.message
        self.neutral.end_capture()
        raise CaptureError(f"No reference was captured: {problem or 'give more frames'}.")

    def _due(self, faces: list[Face]) -> list[Face]:
        """The faces to recognise in this frame: new ones, then those that waited longest."""
        new = sum(face.track_id not in self._last for face in faces)
        count = max(AT_ONCE, -(-len(faces) // 2), len(faces) if self._still else new)
        waited = {track_id: place for place, track_id in enumerate(self._last)}
        return sorted(faces, key=lambda face: waited.get(face.track_id, -1))[:count]

    def _remember(self, faces: list[Face], due: list[Face], found: list) -> None:
        """Keep what each face in view showed last, the latest at the end."""
        waiting = {face.track_id for face in faces} - {face.track_id for face in due}
        self._last = {id_: last for id_, last in self._last.items() if id_ in waiting}
        for face, last in zip(due, found, strict=True):
            self._last[face.track_id] = last

    def _with_last(self, face: Face) -> Face:
        expression, pose = self._last[face.track_id]
        return replace(face, expression=expression, pose=pose)

    def close(self) -> None:
        self.finder.close()
        if self._owns:
            self.finder.detector.close()
            self.recogniser.close()

    def __enter__(self) -> FacePipeline:
        return self

    def __exit__(self, *exception) -> None:
        self.close()


def open_pipeline(
    model: str | Path = "ipd_fer",
    *,
    min_face: int = 40,
    max_faces: int | None = None,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    detector_precision: str = "auto",
    smoothing: float = 1.0,
    still: bool = False,
) -> FacePipeline:
    """A pipeline with a detector and recogniser of its own, as :class:`Detector`,
    :class:`Recogniser` and :class:`FacePipeline` take their options.

    Raises EngineError or DetectorError where one of them cannot be opened; what was is closed.
    """
    networks = Networks(
        model,
        min_face=min_face,
        max_faces=max_faces,
        backend=backend,
        device=device,
        precision=precision,
        detector_precision=detector_precision,
    )
    try:
        return FacePipeline(networks.detector, networks.recogniser, smoothing, still)
    except BaseException:
        networks.close()
        raise
