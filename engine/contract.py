"""What the engine and each inference library agree on: a backend, its options and its errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np

PRECISIONS = ("fp32", "fp16", "bf16", "int8")

MAX_BATCH = 64
"""Most images in one run of a backend that sets no limit of its own; bounds the memory."""


class EngineError(RuntimeError):
    """A model cannot be opened or run. The message is one sentence that tells the fix."""


class NotInstalled(EngineError):
    """What was asked for needs a package that is not here; the message has the install command."""


@dataclass(frozen=True, slots=True)
class Int8Flavour:
    """An INT8 file as some backends want it, which `python -m engine quantize` makes.

    name: as ``--flavour`` takes it. suffix: that of X.onnx is X + suffix. kind: for people.
    symmetric: activations are signed and symmetric like the weights, and biases stay float; else
    activations are unsigned, which processors multiply fastest.
    """

    name: str
    suffix: str
    kind: str
    symmetric: bool


CPU_INT8 = Int8Flavour("cpu", ".int8.onnx", "INT8 (U8S8 QDQ)", symmetric=False)


@dataclass(frozen=True, slots=True)
class Way:
    """A device and a precision in which "auto" may take a backend.

    rank: of all ways of all backends that work, "auto" takes the one with the lowest.
    """

    device: str
    precision: str
    rank: int


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """What is known of a backend without importing its library.

    title: as people write it. modules: the Python modules of which it needs one. install: the
    command that installs it. ways: what "auto" may take, for each of its devices at least one, the
    best first. converts: the precisions in which it can compute a model that is written in fp32.
    int8: the INT8 file that it takes.
    """

    title: str
    modules: tuple[str, ...]
    install: str
    ways: tuple[Way, ...]
    converts: tuple[str, ...]
    int8: Int8Flavour = CPU_INT8

    @property
    def devices(self) -> tuple[str, ...]:
        """Of "cpu" and "cuda", the best first."""
        return tuple(dict.fromkeys(way.device for way in self.ways))


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


@dataclass(frozen=True, slots=True)
class Options:
    """How a backend is to load a model.

    device: "cpu", "cuda" or, of several GPUs, "cuda:1" for the second. precision: one of
    :data:`PRECISIONS`; "int8" comes with a model that
    holds QDQ nodes. threads: CPU threads inside one run, None for one per core that this process
    may use. may_build: False where the caller would take another backend rather than wait for a
    build of many seconds; the backend then raises EngineError with the command that builds.
    """

    device: str
    precision: str
    threads: int | None = None
    may_build: bool = True

    @property
    def gpu(self) -> int:
        """The number of the GPU, counted from 0."""
        return parted(self.device)[1]


def parted(device: str) -> tuple[str, int]:
    """ "cuda:1" → "cuda" and 1; the number is 0 where none is named, and one is named for a GPU
    only."""
    numbered = re.fullmatch("cuda:([0-9]{1,3})", device)
    return ("cuda", int(numbered[1])) if numbered else (device, 0)


class Backend(Protocol):
    """One loaded model inside one inference library.

    Any thread may call `run`, several at once too: where the library does not allow that, the
    backend lets them take turns, and `concurrent` is False. `close` is called once, from any
    thread, while nothing runs.

    precision: the one really in use, read back from what was loaded. description: library,
    version, provider, precision and threads in one line. max_batch: most images in one `run`; the
    session splits larger batches.
    """

    precision: str
    description: str
    max_batch: int
    concurrent: bool

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name for inputs by name; EngineError where it fails.

        The session has checked the inputs against :class:`engine.model_file.ModelFile`: names,
        dtypes, shapes, at least one image and at most `max_batch`. They need not be contiguous.
        The outputs are new arrays that no later run writes to.
        """

    def close(self) -> None:
        """Frees everything; the backend is not used afterwards."""
