"""How long a model takes at each batch size, in every way that the machine can run it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from engine.contract import EngineError, TensorInfo
from engine.self_check import FREE_SIZES
from engine.session import Session

BATCH_SIZES = (1, 2, 4, 8, 16, 32)

PAUSE = 0.002
"""Seconds between two runs: some libraries' threads spin for a while after their work, which would
be charged to whoever comes next."""

Arrays = dict[str, np.ndarray]
Runner = Callable[[Arrays], float]
"""Runs a model once on its named inputs and returns the seconds that it took."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of one run at one batch size, in milliseconds, and images per second at the median."""

    way: str
    batch: int
    median_ms: float
    p95_ms: float
    images_per_second: float


def session_runner(session: Session) -> Runner:
    """Times `session` in this process."""

    def run(arrays: Arrays) -> float:
        start = time.perf_counter()
        session.run(arrays)
        return time.perf_counter() - start

    return run


def random_inputs(
    inputs: tuple[TensorInfo, ...], batch_sizes: tuple[int, ...] = BATCH_SIZES
) -> dict[int, Arrays]:
    """Batch size → random inputs. A model whose batch is fixed gets that size alone.

    EngineError where a free dimension has no known size.
    """
    fixed = {info.shape[0] for info in inputs if isinstance(info.shape[0], int)}
    return {
        batch: {info.name: _random_input(info, batch) for info in inputs}
        for batch in tuple(fixed) or batch_sizes
    }


def measure(
    runners: dict[str, Runner], inputs: dict[int, Arrays], repeats: int = 100
) -> list[Timing]:
    """Times every runner at every batch size, one Timing for each pair.

    They take turns, in another order every round, so that whatever else the machine does falls on
    all of them alike; the first tenth of the rounds warms up and is not counted. In each turn the
    second run counts: after all the others, the first one finds nothing of its own in the caches.
    """
    pairs = [(way, batch) for way in runners for batch in inputs]
    seconds: dict[tuple[str, int], list[float]] = {pair: [] for pair in pairs}
    order = np.random.default_rng(0)
    warm_up = max(1, repeats // 10)
    rounds = tqdm(range(-warm_up, repeats), desc="Measuring", leave=False, disable=None)
    for round_number in rounds:
        for index in order.permutation(len(pairs)):
            way, batch = pairs[index]
            runners[way](inputs[batch])
            elapsed = runners[way](inputs[batch])
            if round_number >= 0:
                seconds[way, batch].append(elapsed)
            time.sleep(PAUSE)
    return [_timing(way, batch, seconds[way, batch]) for way, batch in pairs]


def _timing(way: str, batch: int, seconds: list[float]) -> Timing:
    median, p95 = (float(1000 * value) for value in np.quantile(seconds, [0.5, 0.95]))
    return Timing(way, batch, round(median, 4), round(p95, 4), round(1000 * batch / median, 1))


def _random_input(info: TensorInfo, batch: int) -> np.ndarray:
    shape = [batch]
    for size in info.shape[1:]:
        if not isinstance(size, int) and size not in FREE_SIZES:
            known = ", ".join(FREE_SIZES)
            raise EngineError(
                f"The input {info} has the free dimension {size}, for which bench knows no size: "
                f"name it {known} in the model, or fix it."
            )
        shape.append(size if isinstance(size, int) else FREE_SIZES[size])
    random = np.random.default_rng(0)
    if np.issubdtype(info.dtype, np.floating):
        return random.random(shape, dtype=np.float32).astype(info.dtype)
    return random.integers(0, 2 if info.dtype == bool else 128, shape).astype(info.dtype)
