"""How long a model takes at each batch size."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from engine.session import EngineError, Session, TensorInfo

BATCH_SIZES = (1, 2, 4, 8, 16)

FREE_SIZES = {"height": 120, "width": 160}
"""Pixels for free dimensions other than the batch, by their name in the model."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of one run at one batch size, in milliseconds, and images per second at the median."""

    batch: int
    median_ms: float
    p95_ms: float
    images_per_second: float


def measure(
    session: Session, batch_sizes: tuple[int, ...] = BATCH_SIZES, repeats: int = 100
) -> list[Timing]:
    """Times `session` on random inputs, one Timing for each batch size.

    The batch sizes take turns, so that whatever else the machine does falls on all of them alike;
    the first tenth of the rounds warms up and is not counted. A model whose batch is fixed is
    timed at that size alone. EngineError where a free dimension has no known size.
    """
    fixed = {info.shape[0] for info in session.inputs if isinstance(info.shape[0], int)}
    batch_sizes = tuple(fixed) or batch_sizes
    inputs = {
        batch: {info.name: _random_input(info, batch) for info in session.inputs}
        for batch in batch_sizes
    }
    seconds: dict[int, list[float]] = {batch: [] for batch in batch_sizes}
    warm_up = max(1, repeats // 10)
    for round_number in range(warm_up + repeats):
        for batch, arrays in inputs.items():
            start = time.perf_counter()
            session.run(arrays)
            elapsed = time.perf_counter() - start
            if round_number >= warm_up:
                seconds[batch].append(elapsed)
    return [_timing(batch, values) for batch, values in seconds.items()]


def _timing(batch: int, seconds: list[float]) -> Timing:
    median, p95 = (float(1000 * value) for value in np.quantile(seconds, [0.5, 0.95]))
    return Timing(batch, round(median, 4), round(p95, 4), round(1000 * batch / median, 1))


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


def write_json(path: Path, session: Session, repeats: int, timings: list[Timing]) -> None:
    """Writes the timings with what they were measured on; all of the file or nothing.

    EngineError where the file cannot be written.
    """
    report = {
        "model": session.path.name,
        "sha256": session.sha256,
        "session": session.description,
        "cpu_count": os.cpu_count(),
        "machine": platform.machine(),
        "repeats": repeats,
        "timings": [asdict(timing) for timing in timings],
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise EngineError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """EngineError where `path` cannot become a file: found out before the measuring, not after."""
    if path.is_dir():
        raise EngineError(f"{path} is a folder: give a file name for the JSON.")
    if not path.parent.is_dir():
        raise EngineError(f"The folder {path.parent} does not exist: make it first.")
    if not os.access(path.parent, os.W_OK):
        raise EngineError(f"The folder {path.parent} cannot be written to: choose another.")


def table(timings: list[Timing]) -> str:
    """The timings as text, one line for each batch size."""
    lines = [f"{'batch':>5}  {'median ms':>9}  {'p95 ms':>9}  {'images/s':>9}"]
    lines += [
        f"{t.batch:>5}  {t.median_ms:>9.2f}  {t.p95_ms:>9.2f}  {t.images_per_second:>9.1f}"
        for t in timings
    ]
    return "\n".join(lines)
