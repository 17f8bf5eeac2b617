"""A person's own resting face, and how every later face of that person is read against it.

Let c be the centred logits of one face, c_k = log p_k − mean_j log p_j, and u_k = c_k − c_neutral
the network's log odds of the expression k against rest. Resting faces differ far more between
people than one face wanders while it rests, and the network, which has never seen this person
before, has to allow for all of them. Once the rest r and its spread s are known, two things change.

1. The face is moved to where resting faces lie on average: with d = c − r and the population's
   mean m, u_k becomes (d_k + m_k) − (d_neutral + m_neutral).
2. What the network took for the density of rest, N(m_k, S_k²) over people, is exchanged for the
   person's own, N(r_k, s_k²). By Bayes' rule the ratio of the two is added to the log odds::

       v_k = u_k + min(CAP, SHARE · log(s_k / S_k) + ½ · max(d_k, 0)² · (1 / s_k² − 1 / S_k²))

   and the answer is softmax(0, v_1, …, v_7). Only a rise of c_k speaks for k, so what is below
   rest counts as at rest. The normalising constant log(s/S) enters by SHARE: the density of the
   expression grows narrower too when the person is known, which takes back a part of it. CAP says
   how sure one measurement can be; beyond it the network alone decides which expression it is.

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

The population's numbers come from a file beside the model, see :class:`Population`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, overload

import numpy as np

from engine import registry
from engine.session import Session
from realtime.faces import EXPRESSIONS, HeadPose
from realtime.number_file import (
    ReferenceFileError,
    broken,
    listed,
    numbers,
    read_content,
    write_numbers,
)

__all__ = ["Form", "Population", "Reference", "ReferenceFileError"]

_CLASSES = len(EXPRESSIONS)
_LOG_SMALLEST = 1e-30
_CENTRED = 1e-3
"""Largest sum of a mean in a file; its numbers are rounded to six places."""


@dataclass(frozen=True, slots=True)
class Form:
    """The few constants of the formula, see above.

    cap: CAP. share: of the normalising constant. evidence: EVIDENCE. prior: PRIOR. doubt: DOUBT.
    turn_free: degrees of turn that cost nothing, since the measured pose wavers by as much.
    """

    cap: float = 6.0
    share: float = 0.5
    evidence: int = 12
    prior: int = 30
    doubt: float = 1.5
    turn_free: float = 1.0


def centred_logits(probabilities: np.ndarray) -> np.ndarray:
    """c of this module, float64 (..., 8), of probabilities (..., 8)."""
    logits = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), _LOG_SMALLEST))
    return logits - logits.mean(axis=-1, keepdims=True)


def _centred(probabilities: np.ndarray) -> list[float]:
    """The same of one face (8,), as plain numbers."""
    logits = [math.log(max(value, _LOG_SMALLEST)) for value in probabilities.tolist()]
    mean = sum(logits) / _CLASSES
    return [logit - mean for logit in logits]


def weights_of(session: Session) -> str:
    """Hex sha256 of the fp32 file that the session's weights come from.

    A quantised model shares the reference of the model it was made from: its centred logits of a
    person's rest differ by 0.03 at most, a tenth of what rest wanders.
    """
    return session.metadata.get(registry.QUANTIZED_FROM, session.sha256)


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """What one model says of resting and other faces of many people; all arrays float64 (8,).

    model: hex sha256 of its fp32 file. rest, rest_spread: m and S of this module. wander: W.
    turn: T, what 10 degrees add. strongest: c_k of the strongest usual expression k.
    """

    model: str
    rest: np.ndarray
    rest_spread: np.ndarray
    wander: np.ndarray
    turn: np.ndarray
    strongest: np.ndarray

    @classmethod
    def of(cls, session: Session) -> Population:
        """The population of an opened face model, from the file NAME.reference.json beside
        NAME.onnx. ReferenceFileError where it is missing, broken or another model's."""
        path = population_file(session.path)
        if not path.is_file():
            raise ReferenceFileError(
                f"{path} is missing: make it with "
                f"`python -m realtime.measure.population --model {session.path} --data PREPARED`."
            )
        return cls.load(path, weights_of(session))

    @classmethod
    def of_file(cls, model: str | Path = "ipd_fer") -> Population:
        """The same of a model that nobody has opened: a file, or the name of a shipped one."""
        file = registry.read(registry.find(model))
        weights = file.metadata.get(registry.QUANTIZED_FROM, file.sha256)
        return cls.load(population_file(file.path), weights)

    @classmethod
    def load(cls, path: Path, model: str) -> Population:
        """Reads and checks the file; `model` is the hash that it must be of."""
        content = read_content(path, "population", model)
        vectors = {name: numbers(path, content, name, (_CLASSES,)) for name in _VECTORS}
        spread, wander = vectors["rest_spread"], vectors["wander"]
        if not (np.all(wander > 0) and np.all(spread > wander) and np.all(vectors["turn"] >= 0)):
            raise ReferenceFileError(f"{path} holds spreads that cannot be: make it again.")
        if not np.all(vectors["strongest"][1:] > vectors["rest"][1:]):
            raise ReferenceFileError(f"{path} holds expressions weaker than rest: make it again.")
        return cls(model, **vectors)

    def save(self, path: Path) -> None:
        vectors = {name: listed(getattr(self, name)) for name in _VECTORS}
        write_numbers(path, "population", self.model, vectors)

    def reference(self) -> Reference:
        """The reference of somebody nothing is known about: it leaves every reading as it is."""
        return Reference(self, self.rest, np.zeros((_CLASSES, _CLASSES)), 0, HeadPose(0, 0, 0))


_VECTORS = ("rest", "rest_spread", "wander", "turn", "strongest")


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
            exchange = self.form.share / 2 * math.log(ratio)
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
        """Writes numbers alone, no picture; the file appears whole or not at all."""
        write_numbers(
            Path(path),
            "reference",
            self.population.model,
            {
                "frames": self.frames,
                "pose": listed([self.pose.yaw, self.pose.pitch, self.pose.roll]),
                "mean": listed(self.mean),
                "covariance": [listed(row) for row in self.covariance],
            },
        )

    @classmethod
    def load(cls, path: str | Path, population: Population | None = None) -> Reference:
        """The reference in a file; ReferenceFileError where it is none, or another model's.

        population: of the model that it must belong to; None takes that of the shipped model.
        """
        path = Path(path)
        population = population or Population.of_file()
        content = read_content(path, "reference", population.model)
        frames = content.get("frames")
        if type(frames) is not int or not 0 <= frames <= 10**9:
            raise broken(path, "frames")
        mean = numbers(path, content, "mean", (_CLASSES,))
        covariance = numbers(path, content, "covariance", (_CLASSES, _CLASSES))
        if abs(mean.sum()) > _CENTRED or np.abs(mean).max() > -math.log(_LOG_SMALLEST):
            raise broken(path, "mean")
        pose = HeadPose(*numbers(path, content, "pose", (3,)).tolist())
        if not np.allclose(covariance, covariance.T) or np.any(np.diag(covariance) < 0):
            raise broken(path, "covariance")
        return cls(population, mean, covariance, frames, pose)


def population_file(model: Path) -> Path:
    """NAME.reference.json beside NAME.onnx or NAME.int8.onnx."""
    return model.with_name(model.name.split(".")[0] + ".reference.json")
