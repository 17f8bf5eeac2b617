"""What a model says of resting and other faces of many people: numbers in a file beside it, which
:mod:`realtime.reference` reads a single person's face against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine import registry
from engine.session import Session
from realtime.faces import EXPRESSIONS
from realtime.number_file import (
    ReferenceFileError,
    listed,
    numbers,
    read_content,
    write_numbers,
)

_CLASSES = len(EXPRESSIONS)
LOG_SMALLEST = 1e-30
"""The least probability whose logarithm is taken."""


def centred_logits(probabilities: np.ndarray) -> np.ndarray:
    """c of realtime.reference, float64 (..., 8), of probabilities (..., 8)."""
    logits = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), LOG_SMALLEST))
    return logits - logits.mean(axis=-1, keepdims=True)


def weights_of(session: Session) -> str:
    """Hex sha256 of the fp32 file that the session's weights come from.

    A quantised model shares the reference of the model it was made from: its centred logits of a
    person's rest differ by 0.03 at most, a tenth of what rest wanders.
    """
    return session.metadata.get(registry.QUANTIZED_FROM, session.sha256)


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """What one model says of resting and other faces of many people; all arrays float64 (8,).

    model: hex sha256 of its fp32 file. rest, rest_spread: m and S of realtime.reference. wander: W.
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


_VECTORS = ("rest", "rest_spread", "wander", "turn", "strongest")


def population_file(model: Path) -> Path:
    """NAME.reference.json beside NAME.onnx or NAME.int8.onnx."""
    return model.with_name(model.name.split(".")[0] + ".reference.json")
