"""How long each stage of the work takes, frame by frame."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

REMEMBERED = 10_000
"""Frames over which medians are taken, so that hours of video need no more memory."""


class StageTimer:
    """``with timer("align"): …`` adds one measurement to the stage "align". Any threads may add and
    read at the same time."""

    def __init__(self):
        self._lock = threading.Lock()
        self._seconds: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        self._processor: dict[str, float] = defaultdict(float)
        self._ends: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started, used = time.perf_counter(), time.thread_time()
        yield
        used = time.thread_time() - used
        self.add(stage, time.perf_counter() - started)
        with self._lock:
            self._processor[stage] += used

    def processor_time(self, stage: str) -> float:
        """Seconds of processor time that threads spent in a stage so far, without waiting."""
        with self._lock:
            return self._processor[stage]

    def add(self, stage: str, seconds: float) -> None:
        """One measurement that ends now."""
        with self._lock:
            self._seconds[stage].append(seconds)
            self._ends[stage].append(time.perf_counter())

    def clear(self) -> None:
        with self._lock:
            self._seconds.clear()
            self._ends.clear()

    def summary(self) -> dict[str, dict[str, float]]:
        """By stage, in the order in which they first ran: median and p95 in milliseconds."""
        with self._lock:
            kept = {stage: list(seconds) for stage, seconds in self._seconds.items()}
        return {stage: spread(seconds) for stage, seconds in kept.items()}

    def series(self) -> dict[str, np.ndarray]:
        """By stage, float64 (n, 2): when it ended by time.perf_counter(), and its seconds."""
        with self._lock:
            return {
                stage: np.column_stack([self._ends[stage], seconds])
                for stage, seconds in self._seconds.items()
            }

    def stage(self, stage: str) -> dict[str, float] | None:
        """Median and p95 of one stage, None where it never ran."""
        with self._lock:
            seconds = list(self._seconds.get(stage, ()))
        return spread(seconds) if seconds else None


def table(stages: dict[str, dict[str, float]]) -> str:
    """Medians and p95 by stage as a text for people."""
    lines = [f"{'stage':<12} {'median ms':>10} {'p95 ms':>8}"]
    for stage, cell in stages.items():
        lines.append(f"{stage:<12} {cell['median_ms']:>10.2f} {cell['p95_ms']:>8.2f}")
    return "\n".join(lines)


def spread(seconds) -> dict[str, float]:
    """Median and 95th percentile of measurements in seconds, as milliseconds."""
    milliseconds = 1000 * np.asarray(seconds)
    return {
        "median_ms": float(np.median(milliseconds)),
        "p95_ms": float(np.percentile(milliseconds, 95)),
    }
