"""One id per face over time.

Each track predicts where its face will be (constant velocity) and takes the detection nearest to
that, so two faces that cross keep their ids: after the crossing each is where it was heading.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from realtime.faces import Face

GATE = 0.7
"""Largest distance between prediction and detection, in face sizes."""
GATE_GROWTH = 0.4
"""By how much that distance grows for each second that a face was out of sight."""
SIZE_GATE = 1.7
"""Largest ratio between the sizes of a face in two sightings."""
VELOCITY_MEMORY = 0.15
"""Seconds over which velocity is averaged: longer than landmark noise, shorter than a turn."""
COAST = 0.4
"""Seconds for which a face out of sight is believed to move on; then it is looked for there."""


STILL = 0.04
"""While its box moves by less, in face sizes, a face is looked for in the very same place again:
looking where noise put it the last time would make the noise walk."""


@dataclass
class _Track:
    track_id: int
    centre: np.ndarray
    size: float
    time: float
    velocity: np.ndarray
    box: np.ndarray
    still: bool = False

    def predict(self, time: float) -> np.ndarray:
        return self.centre + self.velocity * min(time - self.time, COAST)

    def expected(self, time: float) -> np.ndarray:
        if self.still:
            return self.box
        return self.box + np.tile(self.predict(time) - self.centre, 2).astype(np.float32)

    def follow(self, face: Face, time: float) -> None:
        centre, elapsed = _centre(face), time - self.time
        if elapsed > 0:
            share = 1 - np.exp(-elapsed / VELOCITY_MEMORY)
            self.velocity += share * ((centre - self.centre) / elapsed - self.velocity)
        self.centre, self.size, self.time = centre, face.size, time
        self.still = bool(np.abs(face.box - self.box).max() < STILL * face.size)
        if not self.still:
            self.box = face.box


class Tracker:
    """Gives every face its `track_id`; ids count up from 0 and are never used twice.

    max_gap: seconds after which a face out of sight is forgotten; if it comes back later, it is a
    new one with a new id.
    """

    def __init__(self, max_gap: float = 2.5):
        self.max_gap = max_gap
        self._tracks: list[_Track] = []
        self._next_id = 0
        self._time = -np.inf

    def expected(self, time: float) -> list[np.ndarray]:
        """Where the faces of the last frame should be now: boxes, float32 (4,)."""
        return [track.expected(time) for track in self._tracks if track.time == self._time]

    def hidden(self, time: float) -> list[np.ndarray]:
        """Where faces out of sight may come back: boxes, float32 (4,)."""
        return [
            track.expected(time)
            for track in self._tracks
            if track.time < self._time and time - track.time < self.max_gap
        ]

    @property
    def alive(self) -> set[int]:
        """The ids of all faces that are in view or may still come back."""
        return {track.track_id for track in self._tracks}

    def update(self, faces: list[Face], time: float) -> list[Face]:
        """The faces of one frame, in their order, with ids. `time` in seconds must not go back."""
        self._time = time
        self._tracks = [track for track in self._tracks if time - track.time < self.max_gap]
        owner = self._match(faces, time)
        return [
            replace(face, track_id=self._assign(face, owner.get(index), time))
            for index, face in enumerate(faces)
        ]

    def _match(self, faces: list[Face], time: float) -> dict[int, _Track]:
        """Which track each face continues: nearest pairs first, each track and face once."""
        if not (faces and self._tracks):
            return {}
        tracks = self._tracks
        predicted = np.array([track.predict(time) for track in tracks])
        offsets = np.array([_centre(face) for face in faces])[:, None] - predicted
        face_sizes = np.array([face.size for face in faces])[:, None]
        track_sizes = np.array([track.size for track in tracks])
        sizes = np.maximum(face_sizes, track_sizes)
        ratios = sizes / np.minimum(face_sizes, track_sizes)
        distances = np.hypot(offsets[..., 0], offsets[..., 1]) / sizes
        gates = GATE + GATE_GROWTH * (time - np.array([track.time for track in tracks]))
        near = np.argwhere((distances < gates) & (ratios < SIZE_GATE))
        costs = (distances + 0.5 * np.log(ratios))[tuple(near.T)]
        owner: dict[int, _Track] = {}
        taken: set[int] = set()
        for index, track in near[np.argsort(costs, kind="stable")].tolist():
            if index not in owner and track not in taken:
                owner[index] = tracks[track]
                taken.add(track)
        return owner

    def _assign(self, face: Face, track: _Track | None, time: float) -> int:
        if track is None:
            track = _Track(self._next_id, _centre(face), face.size, time, np.zeros(2), face.box)
            self._tracks.append(track)
            self._next_id += 1
        track.follow(face, time)
        return track.track_id


def _centre(face: Face) -> np.ndarray:
    # Landmarks sit more firmly on a face than its box does.
    return face.landmarks.mean(axis=0).astype(np.float64)
