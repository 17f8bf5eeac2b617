"""Whose rest is known: the references of the faces in view, each under its face's id."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from realtime.capture import Adaptation, Capture, Progress
from realtime.faces import Face, HeadPose
from realtime.population import Population
from realtime.reference import Reference

MOST = 16
"""Faces that have a reference at the same time; a later one takes the place of the oldest."""
DONE_SHOWN = 1.0
"""Seconds for which a capture that is done is still told."""
OFFERED = 10.0
"""Seconds for which a lost reference is told."""


@dataclass(frozen=True, slots=True)
class _Owned:
    reference: Reference
    name: str


class NeutralFaces:
    """Reads every face against its own rest where that is known. One thread at a time.

    A reference belongs to the id of a face and to nobody else: when the tracker forgets the id, the
    reference is gone, and the next largest face does not get it.

    population: gives that of the model. It is asked when it is first needed, so that a model
    without one can be used as long as no reference is.
    """

    def __init__(self, population: Callable[[], Population]):
        self._ask = population
        self._known: Population | None = None
        self._owned: dict[int, _Owned] = {}
        self._given: _Owned | None = None
        self._capture: Capture | None = None
        self._wanted: int | None = None
        self._learning: dict[int, Adaptation] = {}
        self._ids: list[int] = []
        self._done_at = self._lost_at = 0.0
        self.used: Reference | None = None
        """What :meth:`use` was last told."""
        self.adapt = False
        """Whether the rest of faces without a reference is learnt by itself."""
        self.progress: Progress | None = None
        """Of the capture that is at work, and of one just done; None else."""
        self.lost: int | None = None
        """The id whose reference has gone with it, for a while."""
        self.captured: Reference | None = None
        """The latest that was captured."""

    @property
    def population(self) -> Population:
        """What the model says of many people. ReferenceFileError where its file is missing."""
        if self._known is None:
            self._known = self._ask()
        return self._known

    @property
    def expected(self) -> bool:
        """Whether a reference is in use, or will be soon without a further wish."""
        return bool(self.adapt or self._owned or self._given or self._capture)

    @property
    def owners(self) -> list[int]:
        """Ids of the faces that were given or captured a reference, the oldest first."""
        return list(self._owned)

    @property
    def told(self) -> str | None:
        """Whose reference is in use, or which was lost, in words; None where nothing is."""
        if self.owners:
            return "neutral: " + ", ".join(f"#{owner}" for owner in self.owners)
        if self.lost is not None:
            return f"neutral: #{self.lost} is gone"
        return "neutral: learnt by itself" if self.adapt else None

    def give(self, reference: Reference, track_id: int | None = None, name: str = "given") -> None:
        """Read a face against `reference` from the next frame on.

        track_id: of the face; None for the largest of the next frame that shows one. name: what the
        records call the reference.
        """
        owned = _Owned(reference, name)
        if track_id is None:
            self._given = owned
        else:
            self._own(track_id, owned)

    def use(self, reference: Reference | None) -> None:
        """Read the largest face of the next frame against `reference`, and no other face against
        one that it was given or captured before; None reads every face as the network does."""
        self._owned.clear()
        self._given = _Owned(reference, "given") if reference else None
        self.used = reference

    def load(self, path: str | Path) -> Reference:
        """:meth:`give` what is in a file to the largest face. ReferenceFileError where it is no
        reference or another model's."""
        reference = Reference.load(path, self.population)
        self.give(reference, name=Path(path).name)
        return reference

    def drop(self, track_id: int) -> None:
        """Read this face as the network does again."""
        self._owned.pop(track_id, None)

    @property
    def capturing(self) -> bool:
        """Whether a capture is at work."""
        return self._capture is not None

    def begin_capture(self) -> None:
        """Capture a reference from the next frame on: of the nearest face that has none, and of the
        nearest where all have one. ReferenceFileError where the model has no population."""
        self.lost = self.progress = None
        without = [track_id for track_id in self._ids if track_id not in self._owned]
        nearest = not without or without[0] == self._ids[0]
        self._wanted = None if nearest else without[0]
        self._capture = Capture(self.population, self._wanted)

    def end_capture(self) -> None:
        """Give up the capture at work."""
        self._capture = self.progress = None

    def read(self, faces: list[Face], alive: Set[int], time: float) -> list[Face]:
        """The faces of one frame, read.

        faces: largest first, with ids, as the network read them. alive: the ids that the tracker
        has not forgotten. time: of the frame, seconds.
        """
        self._forget(alive, time)
        self._ids = [face.track_id for face in faces if face.track_id is not None]
        if self._given and self._ids:
            self._own(self._ids[0], self._given)
            self._given = None
        self._captured_in(faces, time)
        return [self._one(face, time) for face in faces]

    def _one(self, face: Face, time: float) -> Face:
        if face.track_id is None or face.expression is None or face.pose is None:
            return face
        owned = self._owned.get(face.track_id)
        if owned is None:
            owned = self._learnt(face.track_id, face.expression, face.pose, time)
        if owned is None:
            return face
        return replace(
            face,
            expression=owned.reference.read(face.expression, face.pose),
            raw=face.expression,
            intensity=owned.reference.intensity(face.expression),
            reference=owned.name,
        )

    def _learnt(
        self, track_id: int, expression: np.ndarray, pose: HeadPose, time: float
    ) -> _Owned | None:
        if not self.adapt:
            return None
        learning = self._learning.get(track_id)
        if learning is None:
            if len(self._learning) >= MOST:
                return None
            learning = self._learning[track_id] = Adaptation(self.population)
        return _Owned(learning.update(expression, pose, time), "learnt")

    def _captured_in(self, faces: list[Face], time: float) -> None:
        """Go on with the capture; what it made belongs to the face it was made of."""
        if self._capture is None:
            if self.progress and time - self._done_at > DONE_SHOWN:
                self.progress = None
            return
        self.progress = self._capture.update(faces, time)
        reference, track_id = self.progress.reference, self.progress.track_id
        if reference is not None and track_id is not None:
            self._own(track_id, _Owned(reference, f"captured at {time:.1f} s"))
            self.captured, self._capture, self._done_at = reference, None, time

    def _own(self, track_id: int, owned: _Owned) -> None:
        self._owned.pop(track_id, None)
        while len(self._owned) >= MOST:
            del self._owned[next(iter(self._owned))]
        self._owned[track_id] = owned
        self.lost = None

    def _forget(self, alive: Set[int], time: float) -> None:
        for track_id in self._owned.keys() - alive:
            self.drop(track_id)
            self.lost, self._lost_at = track_id, time
        if self._capture and self._wanted is not None and self._wanted not in alive:
            self._wanted, self._capture = None, Capture(self.population)
        for track_id in self._learning.keys() - alive:
            del self._learning[track_id]
        if self.lost is not None and time - self._lost_at > OFFERED:
            self.lost = None
