"""A frame in, faces out: finder (detector and tracker) → aligner → engine → smoother."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.contract import EngineError
from engine.session import Session, open_session
from realtime.align import FACE_SIZE, align, rotation_of, similarity_transform
from realtime.detect import Detector
from realtime.faces import EXPRESSIONS, Face, HeadPose
from realtime.finder import FaceFinder
from realtime.smooth import Smoother
from realtime.source import Frame
from realtime.timing import StageTimer

AT_ONCE = 4
"""Faces that are recognised in every frame. More of them take turns, so that each is recognised at
least in every second frame and shows in between what it showed last."""


class Recogniser:
    """Expression and pose of aligned faces: the shipped model, or any that keeps its contract.

    Contract: input ``faces`` uint8 (n, 112, 112, 3) RGB; outputs ``expression`` float32 (n, k)
    probabilities and ``pose`` float32 (n, 3) degrees as seen in the aligned face; metadata
    ``labels``, a JSON list of k names out of realtime.faces.EXPRESSIONS.
    Raises EngineError where the model cannot be opened or has another shape.
    """

    def __init__(
        self,
        model: str | Path,
        backend: str = "auto",
        device: str = "auto",
        precision: str = "auto",
    ):
        self.session = open_session(model, backend, device, precision)
        try:
            self._columns = _expression_columns(self.session)
        except BaseException:
            self.session.close()
            raise

    def recognise(
        self, crops: np.ndarray, rotations: list[float]
    ) -> list[tuple[np.ndarray, HeadPose]]:
        """Expression (float32 (8,)) and pose of each crop, in one engine call.

        crops: uint8 (n, 112, 112, 3), RGB, aligned. rotations: by how many degrees alignment
        turned each clockwise; the pose is given for the image before that.
        """
        outputs = self.session.run({"faces": crops})
        expression = np.zeros((len(crops), len(EXPRESSIONS)), np.float32)
        expression[:, self._columns] = outputs["expression"]
        poses = [
            HeadPose(*(float(angle) for angle in angles)).turned(-rotation)
            for angles, rotation in zip(outputs["pose"], rotations, strict=True)
        ]
        return list(zip(expression, poses, strict=True))

    def close(self) -> None:
        self.session.close()


def _expression_columns(session: Session) -> list[int]:
    """Where each output of the model belongs among EXPRESSIONS; EngineError if it cannot be."""
    shapes = {info.name: info.shape for info in session.inputs + session.outputs}
    fits = (
        {"faces", "expression", "pose"} <= shapes.keys()
        and shapes["faces"][1:] == (FACE_SIZE, FACE_SIZE, 3)
        and "labels" in session.metadata
    )
    if not fits:
        raise EngineError(
            f"{session.path.name} is not a face model: it needs the input faces (n×112×112×3), the "
            "outputs expression and pose, and labels in its metadata, as `python -m train export` "
            "writes them."
        )
    labels = _labels(session)
    unknown = [label for label in labels if label not in EXPRESSIONS]
    if unknown:
        raise EngineError(
            f"{session.path.name} names the expressions {', '.join(unknown)}; known are "
            f"{', '.join(EXPRESSIONS)}."
        )
    return [EXPRESSIONS.index(label) for label in labels]


def _labels(session: Session) -> list[str]:
    """The names in the model's metadata; EngineError where they are none."""
    try:
        labels = json.loads(session.metadata["labels"])
    except ValueError:
        labels = None
    if isinstance(labels, list) and all(isinstance(label, str) for label in labels):
        return labels
    raise EngineError(
        f"{session.path.name} has labels in its metadata that are no JSON list of names: "
        f"{session.metadata['labels'][:60]!r}. Export it again."
    )


class FacePipeline:
    """Follows the faces of one video or camera. One thread at a time; a context manager.

    Up to :data:`AT_ONCE` faces are recognised in every frame, of more at least half.

    detector, recogniser: owned by the pipeline from here on, closed with it.
    smoothing: 0 gives every frame by itself, 1 is the default, larger is steadier.
    still: the frames are pictures that have nothing to do with each other.
    timer: collects the time of every stage.
    """

    def __init__(
        self,
        detector: Detector,
        recogniser: Recogniser,
        smoothing: float = 1.0,
        still: bool = False,
    ):
        self.smoother = Smoother(0.0 if still else smoothing)
        self.timer = StageTimer()
        self._still = still
        self._last: dict[int, tuple[np.ndarray, HeadPose]] = {}
        self.finder = FaceFinder(detector, self.timer, still)
        self.recogniser = recogniser

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
        with timer("smooth"):
            return self.smoother.update(faces, frame.time)

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
    with ExitStack() as opened:
        recogniser = Recogniser(model, backend, device, precision)
        opened.callback(recogniser.close)
        detector = Detector(
            min_face,
            max_faces=max_faces,
            backend=backend,
            device=device,
            precision=detector_precision,
        )
        opened.callback(detector.close)
        pipeline = FacePipeline(detector, recogniser, smoothing, still)
        opened.pop_all()
    return pipeline
