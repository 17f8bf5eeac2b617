"""What a backend is: the one contract between :mod:`engine.session` and each inference library.

A backend is one module in this folder with a function ``load(model: ModelFile, options: Options)
-> Backend``. The module is imported only when its backend is to be used, so a library that is not
installed costs nothing; what must be known before that stands in :data:`BACKENDS`.
"""

from __future__ import annotations

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
class BackendInfo:
    """What is known of a backend without importing it.

    title: as people write it. modules: the Python modules of which it needs one. install: the
    command that installs it. devices: of "cpu" and "cuda". converts: the precisions in which it
    can compute a model that is written in fp32. int8_suffix: the INT8 flavour of X.onnx for this
    backend is X + int8_suffix.
    """

    title: str
    modules: tuple[str, ...]
    install: str
    devices: tuple[str, ...]
    converts: tuple[str, ...]
    int8_suffix: str = ".int8.onnx"


BACKENDS = {
    "tensorrt": BackendInfo(
        title="TensorRT",
        modules=("tensorrt", "tensorrt_rtx"),
        install='pip install ".[tensorrt]"',
        devices=("cuda",),
        converts=("fp32", "fp16"),
        int8_suffix=".trt-int8.onnx",
    ),
    "openvino": BackendInfo(
        title="OpenVINO",
        modules=("openvino",),
        install='pip install ".[openvino]"',
        devices=("cpu",),
        converts=("fp32", "fp16", "bf16"),
    ),
    "onnxruntime": BackendInfo(
        title="ONNX Runtime",
        modules=("onnxruntime",),
        install="pip install onnxruntime",
        devices=("cuda", "cpu"),
        converts=("fp32",),
    ),
}


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

    device: "cpu" or "cuda". precision: one of :data:`PRECISIONS`; "int8" comes with a model that
    holds QDQ nodes. threads: CPU threads inside one run, None for one per core that this process
    may use. may_build: False where the caller would take another backend rather than wait for a
    build of many seconds; the backend then raises EngineError with the command that builds.
    """

    device: str
    precision: str
    threads: int | None = None
    may_build: bool = True


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
