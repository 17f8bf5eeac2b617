"""A quick comparison of two ways to run a model, on a few pictures that look like faces.

It finds what is plainly broken on the machine at hand: an instruction set that overflows, a driver
that computes nonsense. How close a precision comes on real faces, `python -m engine check` tells.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from engine.contract import EngineError, TensorInfo

FREE_SIZES = {"height": 120, "width": 160}
"""Pixels for free dimensions other than the batch, by their name in the model."""

TOLERANCES = {"fp32": 1e-4, "fp16": 0.02, "bf16": 0.05, "int8": 0.07}
"""Precision → largest difference that passes, as a part of an output's largest value or of 1.

INT8 passes where it is no further off than the shipped model's is on real faces when the processor
computes it right: over 1998 aligned FERPlus test faces, three at a time, by 0.005 in half of the
cases, by 0.042 at most in 99 of 100 and by 0.064 at most in all (6.4 percentage points of a
probability; of an angle 0.7°). On the drawn faces that is 0.013. An instruction whose sums stop at
a quarter of 16 bits comes to 0.55 there; on real faces the mean error in pose is three times as
large with it."""

PICTURES = 3


class Opened(Protocol):
    """What is checked: an engine.session.Session, which runs in parts what its library does not
    take at once."""

    inputs: tuple[TensorInfo, ...]
    precision: str

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]: ...


def run(session: Opened, reference: dict[str, np.ndarray]) -> float:
    """How far the outputs of `session` on :func:`pictures` are from `reference`, as a part of each
    output's largest value or of 1. EngineError where that is too far, or the run fails."""
    outputs = session.run(pictures(session.inputs))
    difference = max(_difference(outputs[name], reference[name]) for name in reference)
    if not difference <= TOLERANCES[session.precision]:
        raise EngineError(
            f"failed its self-check on this machine: its outputs are off by {difference:.2g}. Use "
            "another backend or precision, and see `python -m engine check`."
        )
    return difference


def pictures(inputs: tuple[TensorInfo, ...]) -> dict[str, np.ndarray]:
    """The same few inputs every time, in the dtypes and shapes of `inputs`."""
    return {info.name: _picture(info) for info in inputs}


def _difference(output: np.ndarray, reference: np.ndarray) -> float:
    """The largest difference as a part of the largest value or of 1; infinity for no number."""
    largest = np.abs(output.astype(np.float64) - reference).max()
    return float(largest / max(1.0, np.abs(reference).max())) if largest >= 0 else np.inf


def _picture(info: TensorInfo) -> np.ndarray:
    batch = info.shape[0] if info.shape and isinstance(info.shape[0], int) else PICTURES
    shape = [size if isinstance(size, int) else FREE_SIZES.get(size, 32) for size in info.shape]
    if len(shape) == 4 and shape[3] == 3:
        faces = [_face(shape[1], shape[2], index) for index in range(batch)]
        return np.stack(faces).astype(info.dtype)
    random = np.random.default_rng(0)
    return random.integers(0, 2, (batch, *shape[1:])).astype(info.dtype)


def _face(height: int, width: int, index: int) -> np.ndarray:
    """A drawn face, float (height, width, 3) RGB from 0 to 255; its light, skin and mouth depend on
    `index`."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]

    def blob(centre_x: float, centre_y: float, radius_x: float, radius_y: float) -> np.ndarray:
        inside = ((x - centre_x) / radius_x) ** 2 + ((y - centre_y) / radius_y) ** 2
        return 0.5 - 0.5 * np.tanh(4 * (inside - 1))

    light = 0.8 + 0.2 * np.sin(index + 2 * x)
    grey = 0.25 + (0.35 + 0.1 * index) * blob(0, 0, 0.85, 1.1)
    for side in (-0.31, 0.31):
        grey -= 0.3 * blob(side, -0.08, 0.15, 0.08) + 0.15 * blob(side, -0.25, 0.2, 0.04)
    grey += 0.1 * blob(0, 0.15, 0.08, 0.25)
    grey -= 0.3 * blob(0, 0.62, 0.3, 0.05 + 0.08 * index)
    colour = np.array([1.0, 0.8, 0.7])
    return 255 * np.clip((grey * light)[..., None] * colour, 0, 1)
