"""The expression network on aligned faces."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

import numpy as np

from engine.contract import EngineError
from engine.session import Session, open_session
from realtime.align import FACE_SIZE
from realtime.faces import EXPRESSIONS, HeadPose
from realtime.population import Population


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
        threads: int | None = None,
    ):
        self.session = open_session(model, backend, device, precision, threads)
        try:
            self._columns = _expression_columns(self.session)
        except BaseException:
            self.session.close()
            raise

    @cached_property
    def population(self) -> Population:
        """What the model says of many people. ReferenceFileError where its file is missing."""
        return Population.of(self.session)

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
