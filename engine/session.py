"""The one door to a network: :func:`open_session` gives a :class:`Session`."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

from engine import registry
from engine.backends import Backend, EngineError, TensorInfo

__all__ = ["BACKENDS", "DEVICES", "EngineError", "Session", "TensorInfo", "open_session"]

BACKENDS = ("onnxruntime",)
"""The backends there are, in the order in which "auto" prefers them."""

DEVICES = ("auto", "cpu", "cuda")


def open_session(
    model: str | Path, backend: str = "auto", device: str = "auto", threads: int | None = None
) -> Session:
    """Opens an ONNX model for inference.

    model: a path, or the bare name of a shipped model such as "ipd_fer" or "mtcnn_pnet". The
        sha256 of a shipped model is checked against models.json before the model is used.
    backend: "auto" or one of :data:`BACKENDS`.
    device: "cuda" runs on an NVIDIA card or raises; "auto" takes the card where it works, else
        the CPU, and the session's description says which; "cpu" is the CPU.
    threads: CPU threads inside one run; None is one per core.

    Raises EngineError, in one sentence that tells the fix, for anything that does not work.
    """
    if backend not in ("auto", *BACKENDS):
        raise EngineError(f"There is no backend {backend}. Backends: auto, {', '.join(BACKENDS)}.")
    if device not in DEVICES:
        raise EngineError(f"There is no device {device}. Devices: {', '.join(DEVICES)}.")
    if threads is not None and threads < 1:
        raise EngineError(f"{threads} threads cannot run a model: give 1 or more.")
    path = registry.find(model)
    content, digest = registry.read(path)
    name = BACKENDS[0] if backend == "auto" else backend
    module = _backend_module(name)
    try:
        return Session(path, digest, module.load(content, device, threads))
    except EngineError as error:
        raise EngineError(f"{path} cannot be opened: {error}") from error


def _backend_module(name: str):
    try:
        return importlib.import_module(f"engine.backends.{name}")
    except ModuleNotFoundError as error:
        raise EngineError(
            f"The backend {name} needs the package {error.name}: install it with "
            f"`pip install {error.name}`."
        ) from error


class Session:
    """One opened model. Made by :func:`open_session`; a context manager.

    path: the model file. sha256: hex digest of its bytes. inputs, outputs: tuples of TensorInfo.
    metadata: the key-value pairs stored in the ONNX file. description: library, version,
    provider, precision and threads really in use.
    """

    def __init__(self, path: Path, sha256: str, backend: Backend):
        self.path = path
        self.sha256 = sha256
        self.inputs = backend.inputs
        self.outputs = backend.outputs
        self.metadata = backend.metadata
        self.description = backend.description
        self._backend: Backend | None = backend
        self._input_names = {info.name for info in self.inputs}

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs by name for the inputs by name, in the dtypes and shapes of `inputs`.

        A free dimension takes any size from 1; an empty batch is an error, for callers know
        without a network what comes out of nothing. Raises EngineError for a name, dtype or
        shape that does not fit and after :meth:`close`.
        """
        if self._backend is None:
            raise EngineError(f"The session of {self.path.name} is closed: open a new one.")
        if arrays.keys() != self._input_names:
            raise EngineError(
                f"{self.path.name} takes the inputs {_listed(self._input_names)}, "
                f"not {_listed(arrays)}."
            )
        for info in self.inputs:
            _check_array(info, arrays[info.name], self.path.name)
        try:
            return self._backend.run(arrays)
        except EngineError as error:
            raise EngineError(f"{self.path.name} failed: {error}") from error

    def close(self) -> None:
        """Frees the model. Closing twice is fine."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _listed(names) -> str:
    return ", ".join(sorted(names)) or "(none)"


def _check_array(info: TensorInfo, array: np.ndarray, model: str) -> None:
    if not isinstance(array, np.ndarray):
        raise EngineError(
            f"The input {info.name} of {model} must be a NumPy array, not {type(array).__name__}."
        )
    if array.dtype != info.dtype:
        raise EngineError(
            f"The input {info.name} of {model} must be {info.dtype}, not {array.dtype}."
        )
    fits = array.ndim == len(info.shape) and all(
        wanted == size if isinstance(wanted, int) else size > 0
        for wanted, size in zip(info.shape, array.shape)
    )
    if not fits:
        wanted = "×".join(str(size) for size in info.shape)
        given = "×".join(str(size) for size in array.shape)
        raise EngineError(
            f"The input {info.name} of {model} must have the shape {wanted}, not {given}"
            + ("; an empty array cannot be run." if array.size == 0 else ".")
        )
