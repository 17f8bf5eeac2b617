"""Pictures that are larger than a TensorRT plan takes."""

from __future__ import annotations

import threading

import numpy as np

from engine.backends import onnxruntime
from engine.backends.tensorrt import build, plans
from engine.contract import Backend, Options
from engine.model_file import ModelFile


class Oversize:
    """Runs in ONNX Runtime what exceeds the plan in height or width, and says so once.

    A plan's memory is that of the largest picture it takes, used or not: for 50 megapixels it would
    be several GB, and such pictures are rare.

    what: for the description of the session, "" where no picture can be too large.
    """

    def __init__(self, model: ModelFile, threads: int | None = None):
        self._model = model
        self._threads = threads
        # The sides alone, and of free ones: the number of images is the session's to split.
        self._most = {
            info.name: tuple(
                build.IMAGE_SIDE[2] if isinstance(size, str) else size for size in info.shape[1:]
            )
            for info in model.inputs
            if any(isinstance(size, str) for size in info.shape[1:])
        }
        limit = f"pictures over {build.IMAGE_SIDE[2]} px in ONNX Runtime on the CPU"
        self.what = limit if self._most else ""
        self._opening = threading.Lock()
        self._backend: Backend | None = None

    def takes(self, arrays: dict[str, np.ndarray]) -> bool:
        """Whether the plan cannot run these for their size."""
        return any(
            size > most
            for name, limits in self._most.items()
            for size, most in zip(arrays[name].shape[1:], limits, strict=True)
        )

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As :meth:`engine.contract.Backend.run`."""
        return self._opened().run(arrays)

    def close(self) -> None:
        """Frees the model."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None

    def _opened(self) -> Backend:
        with self._opening:
            if self._backend is None:
                options = Options("cpu", self._model.precision, self._threads)
                self._backend = onnxruntime.load(self._model, options)
                plans.say(
                    f"{self._model.path.name}: pictures over {build.IMAGE_SIDE[2]} pixels are "
                    "larger than its TensorRT plan takes; ONNX Runtime runs those on the CPU."
                )
            return self._backend
