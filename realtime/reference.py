"""A person's own resting face, and how every later face of that person is read against it.

Let c be the centred logits of one face, c_k = log p_k − mean_j log p_j, and u_k = c_k − c_neutral
the network's log odds of the expression k against rest. Resting faces differ far more between
people than one face wanders while it rests, and the network, which has never seen this person
before, has to allow for all of them. Once the rest r and its spread s are known, two things change.

1. The face is moved to where resting faces lie on average: with d = c − r and the population's
   mean m, u_k becomes (d_k + m_k) − (d_neutral + m_neutral).
2. What the network took for the density of rest, N(m_k, S_k²) over people, is exchanged for the
   person's own, N(r_k, s_k²). By Bayes' rule the ratio of the two is added to the log odds::

       v_k = u_k + min(CAP, log(s_k / S_k) + ½ · max(d_k, 0)² · (1 / s_k² − 1 / S_k²))

   and the answer is softmax(0, v_1, …, v_7). Only a rise of c_k speaks for k, so what is below
   rest counts as at rest. CAP says how sure one measurement can be; beyond it the network alone
   decides which expression it is.

c_k compares k with *all* others. A faint smile often shows less as a rise of happiness over neutral
than as happiness rising while sadness and anger fall, and blur or bad light, which lift all
expressions over neutral alike, hardly move it.

s never exceeds S. r and s are what n frames say after all that is known of people (wander W_k²
within a person, B_k² = S_k² − W_k² between people; V_k² the variance of the frames; n no more than
EVIDENCE, since frames of two seconds resemble each other)::

    r_k  = m_k + (mean_k − m_k) · n B² / (n B² + W²)
    s_k² = (PRIOR · W² + n V²) / (PRIOR + n) + W² B² / (n B² + W²)
           + (DOUBT · T_k · turn / 10°)²

With n = 0 they are m and S and v_k is u_k: the reading of a stranger is the network's own. The last
term is for a head that has turned from where it was, by more than a free degree. T is what a turn
adds on average, and so too little for many a face: DOUBT makes up for it.

The population's numbers come from a file beside the model, see realtime.population.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, overload

import numpy as np

from realtime.faces import EXPRESSIONS, HeadPose
from realtime.number_file import broken, listed, numbers, read_content, write_numbers
from realtime.population import LOG_SMALLEST, Population, centred_logits

_CLASSES = len(EXPRESSIONS)
_CENTRED = 1e-3
"""Largest sum of a mean in a file; its numbers are rounded to six places."""


@dataclass(frozen=True, slots=True)
class Form:
    """The few constants of the formula, see above.

    cap: CAP. evidence: EVIDENCE. prior: PRIOR. doubt: DOUBT.
    turn_free: degrees of turn that cost nothing, since the measured pose wavers by as much.
    """

    cap: float = 6.0
    evidence: int = 12
    prior: int = 30
    doubt: float = 2.0
    turn_free: float = 1.0


def _centred(probabilities: np.ndarray) -> list[float]:
    """The same of one face (8,), as plain numbers."""
    logits = [math.log(max(value, LOG_SMALLEST)) for value in probabilities.tolist()]
    mean = sum(logits) / _CLASSES
    return [logit - mean for logit in logits]


AHEAD = HeadPose(0.0, 0.0, 0.0)
"""A head that is not turned."""


class Rest(Protocol):
    """Frames of a resting face, as :class:`realtime.results.Results`."""

    def capture(self) -> Reference:
        """The reference of the largest face in them."""


class _Row(NamedTuple):
    """What reading one expression needs; plain numbers, for on eight of them NumPy is slower."""

    rest: float
    offset: float
    variance: float
    broad: float
    turn: float
    span: float


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """One person's rest, and the reading of faces against it.

    population: of the model that is read. mean: float64 (8,), of the centred logits at rest.
    covariance: float64 (8, 8), of the same. frames: how many that were. pose: their mean.
    form: the constants of the formula.
    """

    population: Population
    mean: np.ndarray
    covariance: np.ndarray
    frames: int
    pose: HeadPose
    form: Form = Form()
    _rows: tuple[_Row, ...] = field(init=False, repr=False)

    def __post_init__(self):
        known, prior = self.population, self.form.prior
        count = min(self.frames, self.form.evidence)
        within = known.wander**2
        between = known.rest_spread**2 - within
        told = count * between + within
        rest = known.rest + (self.mean - known.rest) * count * between / told
        own = (prior * within + count * np.diag(self.covariance)) / (prior + count)
        moved = known.rest - rest
        span = np.maximum(known.strongest - rest, (known.strongest - known.rest) / 2)
        columns = (
            rest,
            moved - moved[0],
            own + within * between / told,
            known.rest_spread**2,
            (self.form.doubt * known.turn) ** 2,
            span,
        )
        rows = (_Row(*values) for values in np.column_stack(columns)[1:].tolist())
        object.__setattr__(self, "_rows", tuple(rows))

    @classmethod
    def of_nobody(cls, population: Population) -> Reference:
        """Of somebody nothing is known about: it leaves every reading as it is."""
        return cls(population, population.rest, np.zeros((_CLASSES, _CLASSES)), 0, AHEAD)

    @overload
    @classmethod
    def capture(cls, frames: Rest, /) -> Reference: ...

    @overload
    @classmethod
    def capture(
        cls, population: Population, probabilities: np.ndarray, poses: list[HeadPose], /
    ) -> Reference: ...

    @classmethod
    def capture(cls, source, probabilities=None, poses=None, /) -> Reference:
        """The reference of one resting face.

        frames: what a reader gives, as ``Reference.capture(reader("rest.mp4"))``; their largest
        face is taken once it has rested for two seconds. CaptureError where it does not, with what
        to do.

        Or what a model said of n frames: its population; probabilities, (n, 8), each as the model
        gave it, unsmoothed; and n poses. ValueError for fewer than two frames.
        """
        if isinstance(source, Population):
            return cls._of_readings(source, probabilities, poses)
        if not callable(getattr(source, "capture", None)):
            raise TypeError(
                f"A resting face is captured from what a reader gives, not from "
                f"{type(source).__name__}: Reference.capture(reader(source))."
            )
        return source.capture()

    @classmethod
    def _of_readings(
        cls, population: Population, probabilities: np.ndarray, poses: list[HeadPose]
    ) -> Reference:
        logits = centred_logits(probabilities)
        if logits.ndim != 2 or len(logits) != len(poses) or len(logits) < 2:
            raise ValueError(
                f"A reference needs two frames or more, each with a pose, not {len(poses)}."
            )
        angles = np.mean([(pose.yaw, pose.pitch, pose.roll) for pose in poses], axis=0)
        pose = HeadPose(*(float(angle) for angle in angles))
        return cls(population, logits.mean(axis=0), np.cov(logits.T), len(logits), pose)

    def read(self, probabilities: np.ndarray, pose: HeadPose | None = None) -> np.ndarray:
        """Probabilities, float32 (8,), that sum to 1: those of one face (8,) read against rest.

        pose: the head's now; None leaves the turn out.
        """
        logits, turned = _centred(probabilities), self._turned(pose)
        neutral = logits[0]
        odds = [0.0]
        for logit, row in zip(logits[1:], self._rows, strict=True):
            raised = max(logit - row.rest, 0.0)
            ratio = min((row.variance + turned * row.turn) / row.broad, 1.0)
            exchange = math.log(ratio) / 2
            exchange += raised * raised * (1 / ratio - 1) / (2 * row.broad)
            odds.append(logit - neutral + row.offset + min(exchange, self.form.cap))
        largest = max(odds)
        powers = [math.exp(value - largest) for value in odds]
        total = sum(powers)
        return np.array([power / total for power in powers], dtype=np.float32)

    def intensity(self, probabilities: np.ndarray) -> np.ndarray:
        """How strong each expression of one face (8,) is, float32 (8,): 0 at rest, 1 at the
        strongest usual.

        It is the rise of c_k over rest, divided by the rise to what the strongest tenth of the
        faces of that expression reaches. Neutral has what the strongest of the others leaves.
        """
        logits = _centred(probabilities)
        rises = [
            min(max((logit - row.rest) / row.span, 0.0), 1.0)
            for logit, row in zip(logits[1:], self._rows, strict=True)
        ]
        return np.array([1 - max(rises), *rises], dtype=np.float32)

    def _turned(self, pose: HeadPose | None) -> float:
        """Squared turn beyond the free degrees, in units of 10 degrees."""
        if pose is None:
            return 0.0
        turn = math.hypot(pose.yaw - self.pose.yaw, pose.pitch - self.pose.pitch)
        return (max(turn - self.form.turn_free, 0.0) / 10) ** 2

    def save(self, path: str | Path) -> None:
        """Writes :meth:`content`, no picture; the file appears whole or not at all."""
        write_numbers(Path(path), "reference", self.population.model, self.content())

    def content(self) -> dict:
        """Its numbers, as JSON has them, without :attr:`form`, which is the program's."""
        return {
            "frames": self.frames,
            "pose": listed([self.pose.yaw, self.pose.pitch, self.pose.roll]),
            "mean": listed(self.mean),
            "covariance": [listed(row) for row in self.covariance],
        }

    @classmethod
    def load(cls, path: str | Path, population: Population | None = None) -> Reference:
        """The reference in a file; ReferenceFileError where it is none, or another model's.

        population: of the model that it must belong to; None takes that of the shipped model.
        """
        path = Path(path)
        population = population or Population.of_file()
        return cls.of(read_content(path, "reference", population.model), path, population)

    @classmethod
    def of(cls, content: dict, path: Path, population: Population) -> Reference:
        """The reference that :meth:`content` was of; ReferenceFileError, which names `path`, where
        it is of none."""
        frames = content.get("frames")
        if type(frames) is not int or not 0 <= frames <= 10**9:
            raise broken(path, "frames")
        mean = numbers(path, content, "mean", (_CLASSES,))
        covariance = numbers(path, content, "covariance", (_CLASSES, _CLASSES))
        if abs(mean.sum()) > _CENTRED or np.abs(mean).max() > -math.log(LOG_SMALLEST):
            raise broken(path, "mean")
        pose = HeadPose(*numbers(path, content, "pose", (3,)).tolist())
        if not np.allclose(covariance, covariance.T) or np.any(np.diag(covariance) < 0):
            raise broken(path, "covariance")
        return cls(population, mean, covariance, frames, pose)
