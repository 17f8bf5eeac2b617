"""The one result type that every tool takes and returns, and the vocabulary of the project.

Units and signs, valid everywhere: pixels with the origin at the centre of the top-left pixel,
x to the right, y down; angles in degrees, seen in the image as stored (not mirrored).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

EXPRESSIONS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
)
"""The eight FERPlus classes, in the order of its vote columns."""

LANDMARKS = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")
"""The five MTCNN points; left and right are sides of the image, not of the person."""


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Head pose in degrees.

    yaw > 0: the face turns to the image's right. pitch > 0: it looks up.
    roll > 0: the head tilts clockwise. With x right, y up and z toward the camera the rotation is
    ``R = Ry(yaw) · Rx(-pitch) · Rz(-roll)``; all three are 0 for a face looking into the camera.
    """

    yaw: float
    pitch: float
    roll: float

    def matrix(self) -> np.ndarray:
        """The 3×3 rotation matrix (float64) from head to camera axes."""
        yaw, pitch, roll = np.radians([self.yaw, -self.pitch, -self.roll])
        about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
        about_x = [
            [1, 0, 0],
            [0, np.cos(pitch), -np.sin(pitch)],
            [0, np.sin(pitch), np.cos(pitch)],
        ]
        return np.array(about_y) @ np.array(about_x) @ _about_z(roll)

    @classmethod
    def from_matrix(cls, rotation: np.ndarray) -> HeadPose:
        """The pose whose :meth:`matrix` is `rotation` (3×3); pitch lies in [-90, 90]."""
        yaw = np.arctan2(rotation[0, 2], rotation[2, 2])
        pitch = np.arcsin(np.clip(rotation[1, 2], -1, 1))
        roll = np.arctan2(-rotation[1, 0], rotation[1, 1])
        return cls(*(float(angle) for angle in np.degrees([yaw, pitch, roll])))

    def turned(self, degrees: float) -> HeadPose:
        """The pose after the whole image is turned clockwise by `degrees` in its own plane."""
        return HeadPose.from_matrix(_about_z(-np.radians(degrees)) @ self.matrix())

    def mirrored(self) -> HeadPose:
        """The pose in the image mirrored left to right."""
        return HeadPose(-self.yaw, self.pitch, -self.roll)


def _about_z(angle: float) -> np.ndarray:
    return np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one frame. A detector fills the first three fields, later tools the others.

    box: float32 (4,), x1, y1, x2, y2 in pixels of the frame; may reach over its border.
    score: the detector's probability that this is a face, 0 to 1.
    landmarks: float32 (5, 2), x and y of the points named in :data:`LANDMARKS`.
    track_id: the same number for the same face over time; None before tracking.
    expression: float32 (8,), probabilities over :data:`EXPRESSIONS` that sum to 1; None before
        the engine has run.
    pose: head pose in the frame as stored; None before the engine has run.
    held_label: the expression that is shown while its lead or lag is small, so that two about
        equal ones do not take turns; None for the most probable.
    raw: float32 (8,), the probabilities as the network gave them for this frame, unsmoothed, where
        `expression` was read against a reference of the person's rest; None where it was not.
    intensity: float32 (8,), how strong each expression is, 0 at rest to 1 at the strongest usual;
        None without a reference.
    reference: the name of that reference; None without one.
    """

    box: np.ndarray
    score: float
    landmarks: np.ndarray
    track_id: int | None = None
    expression: np.ndarray | None = None
    pose: HeadPose | None = None
    held_label: str | None = None
    raw: np.ndarray | None = None
    intensity: np.ndarray | None = None
    reference: str | None = None

    @property
    def label(self) -> str:
        """The expression to show: the held one, else the most probable. ValueError before the
        engine has run."""
        expression = self._known_expression()
        return self.held_label or EXPRESSIONS[int(np.argmax(expression))]

    @property
    def probabilities(self) -> dict[str, float]:
        """Name → probability of every expression, in the order of :data:`EXPRESSIONS`. ValueError
        before the engine has run."""
        return dict(zip(EXPRESSIONS, self._known_expression().tolist(), strict=True))

    @property
    def probability(self) -> float:
        """That of the :attr:`label`, 0 to 1: while a label is held, another may be more probable.
        ValueError before the engine has run."""
        return float(self._known_expression()[EXPRESSIONS.index(self.label)])

    def _known_expression(self) -> np.ndarray:
        if self.expression is None:
            raise ValueError("This face has no expression yet: run the engine on it first.")
        return self.expression

    def mirrored(self, width: int) -> Face:
        """The face as it lies in the frame of `width` pixels mirrored left to right."""
        x1, y1, x2, y2 = self.box
        # In the mirror the image-left eye is the image-right one, and so for the mouth.
        swapped = self.landmarks[[1, 0, 2, 4, 3]]
        return replace(
            self,
            box=np.array([width - 1 - x2, y1, width - 1 - x1, y2], dtype=np.float32),
            landmarks=np.column_stack([width - 1 - swapped[:, 0], swapped[:, 1]]),
            pose=self.pose.mirrored() if self.pose else None,
        )

    @property
    def size(self) -> float:
        """The longer side of the box in pixels."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))
