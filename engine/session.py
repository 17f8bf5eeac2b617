"""The one door to a network: :func:`open_session` gives a :class:`Session`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from engine import registry, self_check
from engine.choice import REFERENCE, Choice, choices, load
from engine.contract import Backend, EngineError, NotInstalled, TensorInfo
from engine.model_file import ModelFile


def open_session(
    model: str | Path,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> Session:
    """Opens an ONNX model for inference.

    model: a path, or the bare name of a shipped model such as "ipd_fer" or "mtcnn_pnet". The
        sha256 of a shipped model is checked against models.json before the model is used.
    backend: "auto" or one of engine.backends.BACKENDS.
    device: "auto", "cpu" or "cuda"; of several GPUs, "cuda:1" is the second.
    precision: "auto" or one of engine.contract.PRECISIONS. "int8" runs the file X.int8.onnx
        beside X.onnx (X.trt-int8.onnx for TensorRT), which `python -m engine quantize` makes.
    threads: CPU threads inside one run; None is one per core that this process may use.

    What is "auto" becomes the first in the order of engine.choice.AUTO_ORDER that is installed,
    opens and passes a self-check: on a few drawn faces its outputs agree with those of ONNX
    Runtime in fp32. INT8 comes before fp32 where it is shipped. The session's description says
    what it became, and why nothing faster. A backend that has to build first, which takes up to
    minutes and shows its progress on stderr, does so only where it was named.

    Raises EngineError, in one sentence that tells the fix, for anything that does not work.
    """
    if threads is not None and threads < 1:
        raise EngineError(f"{threads} threads cannot run a model: give 1 or more.")
    file = registry.read(registry.find(model))
    open_ways = choices(file, backend, device, precision)
    try:
        if len(open_ways) == 1:
            return Session(*load(file, open_ways[0], threads))
        return _first_that_works(file, open_ways, threads, may_build=backend != "auto")
    except EngineError as error:
        raise EngineError(f"{file.path} cannot be opened: {error}") from error


def _first_that_works(
    file: ModelFile, open_ways: list[Choice], threads: int | None, may_build: bool
) -> Session:
    reference: dict[str, np.ndarray] = {}
    failures: dict[Choice, EngineError] = {}
    for choice in open_ways:
        try:
            loaded, backend = load(file, choice, threads, may_build)
        except EngineError as error:
            failures[choice] = error
            continue
        if (choice.backend, choice.device) == ("onnxruntime", "cpu") and loaded is file:
            return Session(loaded, backend, _why(failures))
        session = Session(loaded, backend)
        reference = reference or _reference_outputs(file)
        try:
            difference = self_check.run(session, reference)
        except EngineError as error:
            session.close()
            failures[choice] = error
        else:
            passed = f"self-check within {difference:.1g} of {file.precision}"
            session.explain(_why(failures, passed))
            return session
    raise EngineError(" ".join(dict.fromkeys(map(str, failures.values()))))


def _reference_outputs(file: ModelFile) -> dict[str, np.ndarray]:
    choice = Choice(REFERENCE.backend, REFERENCE.device, file.precision)
    with Session(*load(file, choice)) as session:
        return session.run(self_check.pictures(file.inputs))


def _why(failures: dict[Choice, EngineError], passed: str = "") -> str:
    """What came before the way that was taken and did not work, each library's reason once."""
    missing = [way.library for way, error in failures.items() if isinstance(error, NotInstalled)]
    parts = [f"not installed: {', '.join(dict.fromkeys(missing))}"] if missing else []
    reasons: dict[tuple[str, str], Choice] = {}
    for way, error in failures.items():
        if not isinstance(error, NotInstalled):
            # What to do about it follows in a sentence of its own; this is one part of a line.
            reasons.setdefault((way.library, str(error).split(". ")[0].rstrip(".")), way)
    parts += [f"not {way}: {reason}" for (_, reason), way in reasons.items()]
    return "; ".join([*parts, passed] if passed else parts or ["first choice"])


class Session:
    """One opened model. Made by :func:`open_session`; a context manager.

    Any thread may call :meth:`run`, several at once too. Where the library works on one batch at a
    time they take turns, and `concurrent` is False.

    path: the model file. sha256: hex digest of its bytes. inputs, outputs: tuples of TensorInfo.
    metadata: the key-value pairs stored in the ONNX file. precision: the one really in use.
    max_batch: larger batches are run in parts. description: library, version, provider, precision
    and threads really in use, and why "auto" took them.
    """

    def __init__(self, model: ModelFile, backend: Backend, why: str = ""):
        self.path = model.path
        self.sha256 = model.sha256
        self.inputs = model.inputs
        self.outputs = model.outputs
        self.metadata = model.metadata
        self.precision = backend.precision
        self.max_batch = backend.max_batch
        self.concurrent = backend.concurrent
        self.description = backend.description
        if why:
            self.explain(why)
        self._backend: Backend | None = backend
        self._input_names = {info.name for info in self.inputs}
        first = {info.shape[0] if info.shape else 1 for info in self.inputs + self.outputs}
        self._can_split = len(first) == 1 and isinstance(next(iter(first)), str)
        self._running = 0
        self._idle = threading.Condition()

    def explain(self, why: str) -> None:
        """Adds to the description why "auto" took this way."""
        self.description = f"{self.description} (auto; {why})"

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs by name for the inputs by name, in the dtypes and shapes of `inputs`.

        A free dimension takes any size from 1; an empty batch is an error, for callers know
        without a network what comes out of nothing. Raises EngineError for a name, dtype or
        shape that does not fit and after :meth:`close`.
        """
        if arrays.keys() != self._input_names:
            raise EngineError(
                f"{self.path.name} takes the inputs {_listed(self._input_names)}, "
                f"not {_listed(arrays)}."
            )
        for info in self.inputs:
            _check_array(info, arrays[info.name], self.path.name)
        with self._running_backend() as backend:
            try:
                return self._run_in_parts(backend, arrays)
            except EngineError as error:
                raise EngineError(f"{self.path.name} failed: {error}") from error

    def close(self) -> None:
        """Frees the model, once the runs in other threads have ended. Closing twice is fine."""
        with self._idle:
            backend, self._backend = self._backend, None
            self._idle.wait_for(lambda: self._running == 0)
        if backend is not None:
            backend.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    @contextmanager
    def _running_backend(self) -> Iterator[Backend]:
        """The backend, which is not closed before the end of the block."""
        with self._idle:
            if self._backend is None:
                raise EngineError(f"The session of {self.path.name} is closed: open a new one.")
            self._running += 1
            backend = self._backend
        try:
            yield backend
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def _run_in_parts(self, backend: Backend, arrays: dict[str, np.ndarray]) -> dict:
        sizes = {len(array) for array in arrays.values() if array.ndim}
        largest = max(sizes, default=1)
        if largest <= self.max_batch or not self._can_split or len(sizes) > 1:
            return backend.run(arrays)
        parts = [
            backend.run({n: array[start : start + self.max_batch] for n, array in arrays.items()})
            for start in range(0, largest, self.max_batch)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


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
        for wanted, size in zip(info.shape, array.shape, strict=True)
    )
    if not fits:
        wanted = "×".join(str(size) for size in info.shape)
        given = "×".join(str(size) for size in array.shape)
        raise EngineError(
            f"The input {info.name} of {model} must have the shape {wanted}, not {given}"
            + ("; an empty array cannot be run." if array.size == 0 else ".")
        )
