"""A population and resting faces made of numbers, for tests that need no network."""

import numpy as np

from realtime.faces import HeadPose
from realtime.population import Population, centred_logits

MODEL = "a" * 64
FRONTAL = HeadPose(2.0, -3.0, 0.5)
POPULATION = Population(
    model=MODEL,
    rest=np.array([5.6, 0.1, -0.8, 2.2, -0.3, -3.1, -3.1, -0.6]),
    rest_spread=np.array([1.4, 1.6, 1.3, 1.5, 1.5, 1.0, 1.3, 1.0]),
    wander=np.full(8, 0.22),
    turn=np.full(8, 0.35),
    strongest=np.array([7.5, 9.4, 8.1, 7.4, 7.0, 5.3, 6.6, 6.4]),
)


def probabilities(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)


def resting(
    random: np.random.Generator, frames: int, offset: float = 0.0, wander: float = 0.2
) -> np.ndarray:
    """float32 (frames, 8): a person whose happiness at rest lies `offset` above the average's."""
    rest = POPULATION.rest + offset * np.eye(8)[1]
    return probabilities(rest + random.normal(0, wander, (frames, 8)))


def shifted(given: np.ndarray, k: int, rise: float) -> np.ndarray:
    """The same face with the logit of expression `k` raised."""
    return probabilities(centred_logits(given) + rise * np.eye(8)[k])
