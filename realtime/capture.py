"""How a reference is come by: shown for two seconds, or learnt slowly from a face that rests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from realtime.faces import EXPRESSIONS, Face, HeadPose
from realtime.population import Population, centred_logits
from realtime.reference import Reference

SECONDS = 2.0
FRAMES = 20
"""Least time and recognised frames of a capture."""
FRONTAL = 20.0
"""Largest yaw and pitch in degrees; a face looking into a camera above the screen measures 10."""
TURN = 6.0
"""Most that yaw or pitch of a still head differs from where it was at first; the measured pose of
a face at rest is off by 2 to 4."""
MOVE = 0.25
"""Most that a still face's centre lies from where it was at first, in face sizes."""
NO_REST = 0.9
"""Probability of happiness or surprise above which a face is not at rest. The others do not count:
many resting faces are taken for sad or angry, and theirs are the ones that need a reference."""
LOST = 0.5
"""Seconds without the face after which a capture starts anew."""

LOOK, STILL, REST = "look at the camera", "keep still", "rest your face"
NEAREST = "two faces: the nearest was taken"
DONE = "done"


class CaptureError(Exception):
    """No reference could be captured; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a capture is.

    share: 0 to 1, what a ring shows. message: what to do or what was done, "" where all is well.
    track_id: of the face that is captured. reference: once it is done.
    """

    share: float
    message: str = ""
    track_id: int | None = None
    reference: Reference | None = None


class Capture:
    """Two seconds of one resting face. Give it every frame's faces until `Progress.reference` is
    there.

    The faces must come as the network read them, before any smoothing: the spread of what the
    network says at rest is a part of the reference. A face whose expression was only repeated
    from an earlier frame (the same array) is not counted again.

    track_id: the face to capture; None takes the largest of the first frame that shows one.
    """

    def __init__(self, population: Population, track_id: int | None = None):
        self._population = population
        self._wanted = track_id
        self._last: float | None = None
        self._restart(None)

    def update(self, faces: list[Face], time: float) -> Progress:
        """One frame: its faces, largest first, with ids, expression and pose; its time in s."""
        face = self._chosen(faces)
        if face is None or face.expression is None or face.pose is None:
            if self._last is None or time - self._last > LOST:
                self._restart(None)
            return Progress(self._share(), LOOK, self._id)
        if face.track_id != self._id:
            self._restart(face.track_id)
        problem = self._problem(face, face.expression, face.pose)
        if problem:
            self._restart(face.track_id)
            return Progress(0.0, problem, self._id)
        if not self._poses:
            self._started, self._centre = time, face.landmarks.mean(axis=0)
        self._last = time
        self._add(face.expression, face.pose)
        if self._share() >= 1:
            reference = Reference.capture(self._population, np.array(self._readings), self._poses)
            return Progress(1.0, DONE, self._id, reference)
        return Progress(self._share(), self._nearest(faces), self._id)

    def _chosen(self, faces: list[Face]) -> Face | None:
        """The wanted face; else the one at work while it is in view; else the largest."""
        usable = [face for face in faces if face.expression is not None and face.pose is not None]
        if self._wanted is not None:
            return next((face for face in usable if face.track_id == self._wanted), None)
        same = (face for face in usable if self._id is not None and face.track_id == self._id)
        return next(same, max(usable, key=lambda face: face.size, default=None))

    def _nearest(self, faces: list[Face]) -> str:
        return NEAREST if self._wanted is None and len(faces) > 1 else ""

    def _problem(self, face: Face, expression: np.ndarray, pose: HeadPose) -> str:
        """What keeps this face from being captured, "" where nothing does."""
        centre = face.landmarks.mean(axis=0)
        if max(abs(pose.yaw), abs(pose.pitch)) > FRONTAL:
            return LOOK
        if self._poses:
            first = self._poses[0]
            turned = max(abs(pose.yaw - first.yaw), abs(pose.pitch - first.pitch)) > TURN
            if turned or np.hypot(*(centre - self._centre)) > MOVE * face.size:
                return STILL
        shown = dict(zip(EXPRESSIONS, expression, strict=True))
        return REST if max(shown["happiness"], shown["surprise"]) > NO_REST else ""

    def _add(self, expression: np.ndarray, pose: HeadPose) -> None:
        if self._readings and expression is self._readings[-1]:
            return
        self._readings.append(expression)
        self._poses.append(pose)

    def _share(self) -> float:
        if not self._readings or self._last is None:
            return 0.0
        return min((self._last - self._started) / SECONDS, len(self._readings) / FRAMES, 1.0)

    def _restart(self, track_id: int | None) -> None:
        self._id = track_id
        self._last = None
        self._started = 0.0
        self._centre = np.zeros(2)
        self._readings: list[np.ndarray] = []
        self._poses: list[HeadPose] = []


MEMORY = 30.0
"""Seconds over which a learnt rest forgets."""
SLOWER = 20.0
"""By how much slower it learns from a face that is not at rest by what it has learnt."""
FASTEST = 10.0
"""Frames a second that are learnt from: more of them say the same."""
STEADY = 3.0
"""Largest turn, in degrees, between two frames of a head that hardly moves."""


class Adaptation:
    """Learns one face's rest by itself, from frames that the network calls neutral and in which the
    head hardly moves.

    It cannot tell a rest from an expression that the network calls neutral: a faint smile that is
    held becomes the rest. Two things bound that. What the network itself calls an expression is
    never learnt from, however long it is held. And a face that the learnt reference calls an
    expression is learnt from SLOWER times slower, so a faint smile is shown for minutes before it
    fades. Back at rest, most frames read neutral at once and the rest is learnt again.
    """

    def __init__(self, population: Population):
        self._population = population
        self._mean = population.rest.copy()
        self._covariance = np.zeros((len(EXPRESSIONS), len(EXPRESSIONS)))
        self._pose = np.zeros(3)
        self._weight = 0.0
        self._time: float | None = None
        self._before: HeadPose | None = None
        self._last: np.ndarray | None = None
        self.reference = Reference.of_nobody(population)
        """What has been learnt so far; at first it changes no reading."""

    def update(self, expression: np.ndarray, pose: HeadPose, time: float) -> Reference:
        """One recognised frame of the face, unsmoothed: probabilities (8,), pose, seconds. A
        reading that is only repeated, the same array, is not learnt from again."""
        if expression is self._last:
            return self.reference
        self._last = expression
        still = self._before is not None and _turn(pose, self._before) < STEADY
        self._before = pose
        if self._time is not None and time - self._time < 0.9 / FASTEST:
            return self.reference
        elapsed = 1 / FASTEST if self._time is None else min(time - self._time, 1.0)
        self._time = time
        if still and int(np.argmax(expression)) == 0:
            resting = int(np.argmax(self.reference.read(expression, pose))) == 0
            self._learn(expression, pose, elapsed / MEMORY / (1 if resting else SLOWER))
        return self.reference

    def _learn(self, expression: np.ndarray, pose: HeadPose, share: float) -> None:
        """Take in one frame: by `share`, and as one of a mean while there are few."""
        frames = self._weight + 1
        few = frames <= self.reference.form.prior
        share = max(share, 1 / frames) if few else share
        self._weight = frames
        away = centred_logits(expression) - self._mean
        self._mean = self._mean + share * away
        self._covariance = (1 - share) * (self._covariance + share * np.outer(away, away))
        self._pose += share * (np.array([pose.yaw, pose.pitch, pose.roll]) - self._pose)
        self.reference = Reference(
            self._population,
            self._mean,
            self._covariance,
            int(self._weight),
            HeadPose(*(float(angle) for angle in self._pose)),
        )


def _turn(one: HeadPose, other: HeadPose) -> float:
    return max(abs(one.yaw - other.yaw), abs(one.pitch - other.pitch))
