"""What a backend is: the one contract between :mod:`engine.session` and each inference library.

A backend is one module in this folder with a function
``load(model: bytes, device: str, threads: int | None) -> Backend``. The module is imported only
when its backend is asked for, so a library that is not installed costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class EngineError(RuntimeError):
    """A model cannot be opened or run. The message is one sentence that tells the fix."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output of a model.

    shape holds an int for a fixed dimension and the dimension's name (str) for a free one.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} {'×'.join(str(size) for size in self.shape)}"


class Backend(Protocol):
    """One loaded model inside one inference library."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    metadata: dict[str, str]
    description: str

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name for inputs that already fit `inputs`; EngineError where it fails."""

    def close(self) -> None:
        """Frees the model; the backend is not used afterwards."""
