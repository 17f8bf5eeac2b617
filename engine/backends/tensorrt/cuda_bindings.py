"""What the engine needs of cuda-python: checked calls of the CUDA driver, and CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable

from engine.contract import EngineError

NO_MEMORY = (
    "The GPU has no memory left: close other programs that use it (nvidia-smi lists them), or use "
    "--backend onnxruntime."
)
CHECK_DRIVER = "check the GPU and its driver with nvidia-smi, or use --backend onnxruntime."
NO_GRAPHS = "CUDA graphs need cuda-python: `pip install cuda-bindings`."

_OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY


def cuda_bindings(missing: str):
    """cuda-python's driver interface; EngineError with the text `missing` without it."""
    try:
        from cuda.bindings import driver
    except ModuleNotFoundError as error:
        raise EngineError(missing) from error
    return driver


def checked(result: tuple, function: str):
    """What a function of cuda-python returned beside its error code, which must be success."""
    error, *values = result
    if int(error) == _OUT_OF_MEMORY:
        raise EngineError(NO_MEMORY)
    if int(error):
        raise EngineError(f"CUDA failed ({function}: {error.name}): {CHECK_DRIVER}")
    return values[0] if values else None


class CapturedGraph:
    """Work on a stream, recorded once and replayed with one call; through cuda-python."""

    def __init__(self, stream: int, enqueue: Callable[[], None]):
        self._cuda = cuda = cuda_bindings(NO_GRAPHS)
        self._stream = cuda.CUstream(stream)
        # Other threads may allocate and copy on other streams meanwhile.
        mode = cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call("cuStreamBeginCapture", self._stream, mode)
        try:
            enqueue()
        except EngineError:
            # Leaves the stream usable; what was recorded so far is worthless.
            error, graph = cuda.cuStreamEndCapture(self._stream)
            if not error:
                cuda.cuGraphDestroy(graph)
            raise
        graph = self._call("cuStreamEndCapture", self._stream)
        try:
            self._executable = self._call("cuGraphInstantiate", graph, 0)
        finally:
            cuda.cuGraphDestroy(graph)

    def _call(self, function: str, *arguments):
        return checked(getattr(self._cuda, function)(*arguments), function)

    def launch(self) -> None:
        """Puts the recorded work on the stream; EngineError where CUDA fails."""
        self._call("cuGraphLaunch", self._executable, self._stream)

    def close(self) -> None:
        """Frees the graph."""
        self._cuda.cuGraphExecDestroy(self._executable)
