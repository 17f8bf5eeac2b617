"""Per-face smoothing over time: steady while a face is still, quick when it changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from realtime.faces import EXPRESSIONS, Face, HeadPose

RESTART_AFTER = 0.5
"""Seconds out of sight after which a face starts afresh: what it showed before says little."""


HASTE = 2.0
"""Hz more of cut-off for each unit a second by which a probability changes."""
READ_HASTE = 0.5
"""The same of faces that are read against their own rest: one noisy frame there moves a probability
from near 0 to near 1, which would let it through as if it were a smile."""

MARGIN = 0.1
"""By how much another expression must be more probable before the label changes to it."""


class OneEuroFilter:
    """A low-pass filter whose cut-off grows with speed (Casiez et al. 2012).

    cutoff: Hz for a still signal; lower is steadier. beta: Hz more for a speed of one unit a
    second; higher lags less. Works on arrays of any shape, element by element.
    """

    SPEED_CUTOFF = 1.0

    def __init__(self, cutoff: float, beta: float):
        self.cutoff, self.beta = cutoff, beta
        self._value: np.ndarray | None = None
        self._speed = 0.0

    def __call__(self, value: np.ndarray, elapsed: float, unit: float = 1.0) -> np.ndarray:
        """The filtered `value`, `elapsed` seconds after the one before it; `unit` of speed."""
        if self._value is None or elapsed <= 0:
            self._value = np.array(value, dtype=np.float64)
            return self._value.copy()
        speed = (value - self._value) / elapsed
        self._speed = self._speed + _share(self.SPEED_CUTOFF, elapsed) * (speed - self._speed)
        cutoff = self.cutoff + self.beta * np.abs(self._speed) / unit
        self._value = self._value + _share(cutoff, elapsed) * (value - self._value)
        return self._value.copy()


def _share(cutoff, elapsed: float):
    """How much of a new value a first-order low-pass filter lets in."""
    return 1 - np.exp(-2 * np.pi * cutoff * elapsed)


class _State:
    """Filters of one face; speeds are in face sizes, so one setting suits near and far."""

    def __init__(self, strength: float):
        self.time = 0.0
        self.label: str | None = None
        self.geometry = OneEuroFilter(cutoff=0.4 / strength, beta=6.0)
        self.pose = OneEuroFilter(cutoff=0.7 / strength, beta=0.05)
        self.expression = OneEuroFilter(cutoff=0.5 / strength, beta=HASTE)
        self.intensity = OneEuroFilter(cutoff=0.5 / strength, beta=HASTE)


class Smoother:
    """Smooths box, landmarks, expression, intensity and pose of each `track_id` by itself.

    strength: 0 leaves faces as they are, 1 is the default, larger is steadier.
    """

    def __init__(self, strength: float = 1.0):
        if strength < 0:
            raise ValueError(f"Smoothing strength must be 0 or more, not {strength}.")
        self.strength = strength
        self._states: dict[int | None, _State] = {}

    def update(self, faces: list[Face], time: float) -> list[Face]:
        """The faces of one frame (with ids), smoothed. `time` in seconds."""
        if self.strength == 0:
            return faces
        self._states = {
            track_id: state
            for track_id, state in self._states.items()
            if time - state.time <= RESTART_AFTER
        }
        return [self._smooth(face, time) for face in faces]

    def _smooth(self, face: Face, time: float) -> Face:
        state = self._states.setdefault(face.track_id, _State(self.strength))
        elapsed, state.time = time - state.time, time
        points = np.vstack([face.box.reshape(2, 2), face.landmarks]).astype(np.float64)
        points = state.geometry(points, elapsed, unit=face.size)
        changes: dict[str, Any] = {
            "box": points[:2].reshape(4).astype(np.float32),
            "landmarks": points[2:].astype(np.float32),
        }
        if face.expression is not None:
            state.expression.beta = HASTE if face.raw is None else READ_HASTE
            expression = np.clip(state.expression(face.expression, elapsed), 0, None)
            expression = (expression / expression.sum()).astype(np.float32)
            state.label = _held(state.label, expression)
            changes |= {"expression": expression, "held_label": state.label}
        if face.intensity is not None:
            intensity = np.clip(state.intensity(face.intensity, elapsed), 0, 1)
            changes["intensity"] = intensity.astype(np.float32)
        if face.pose is not None:
            angles = np.array([face.pose.yaw, face.pose.pitch, face.pose.roll])
            changes["pose"] = HeadPose(*(float(angle) for angle in state.pose(angles, elapsed)))
        return replace(face, **changes)


def _held(label: str | None, expression: np.ndarray) -> str:
    """The label to show: the old one until another leads by the margin."""
    top = int(np.argmax(expression))
    if label is not None and expression[top] - expression[EXPRESSIONS.index(label)] < MARGIN:
        return label
    return EXPRESSIONS[top]
