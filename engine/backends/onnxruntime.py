"""ONNX Runtime: any CPU, and NVIDIA cards through its CUDA provider."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING

import numpy as np

from engine import processors
from engine.contract import MAX_BATCH, BackendInfo, EngineError, NotInstalled, Options, Way
from engine.model_file import ModelFile

if TYPE_CHECKING:
    import onnxruntime

INFO = BackendInfo(
    title="ONNX Runtime",
    modules=("onnxruntime",),
    install="pip install onnxruntime",
    ways=(Way("cuda", "fp32", 30), Way("cpu", "int8", 50), Way("cpu", "fp32", 60)),
    converts=("fp32",),
)

CPU_PROVIDER = "CPUExecutionProvider"
CUDA_PROVIDER = "CUDAExecutionProvider"

CUDA_OPTIONS = {
    # fp32 means fp32: TF32, the default, rounds to 10 bits.
    "use_tf32": "0",
    # The default measures every algorithm at every new shape, for seconds, and MTCNN's shapes
    # change from frame to frame.
    "cudnn_conv_algo_search": "HEURISTIC",
}

NO_CUDA = (
    "CUDA was asked for, but ONNX Runtime could not start its CUDA provider: check the driver with "
    'nvidia-smi and install CUDA and cuDNN with `pip install "onnxruntime-gpu[cuda,cudnn]"`, or '
    "use --device cpu."
)

_FATAL_ONLY = 4


@cache
def library() -> ModuleType:
    """The package onnxruntime, imported when it is first needed, with its notices held back.

    Its notices (no graphics card here, and the like) tell a user nothing to act on; what
    matters is checked and said by this module.
    """
    import onnxruntime

    onnxruntime.set_default_logger_severity(_FATAL_ONLY)
    return onnxruntime


def load(model: ModelFile, options: Options) -> OnnxRuntimeBackend:
    """The loaded model; EngineError where the device or precision cannot be had.

    ONNX Runtime computes in the precision that the graph is written in, and in no other.
    """
    if options.precision != model.precision:
        raise EngineError(
            f"ONNX Runtime computes {model.path.name} in {model.precision}, as it is written, not "
            f"in {options.precision}: use --precision {model.precision}, or another backend."
        )
    return OnnxRuntimeBackend(model, options)


class OnnxRuntimeBackend:
    """A model in an ONNX Runtime session, which any number of threads may run at once; see
    :class:`engine.contract.Backend`."""

    max_batch = MAX_BATCH
    concurrent = True

    def __init__(self, model: ModelFile, options: Options):
        onnxruntime = library()
        providers = _providers(options)
        try:
            session = onnxruntime.InferenceSession(
                model.content,
                _session_options(options.threads),
                providers=providers,
                enable_fallback=False,  # What this module says and raises replaces it.
            )
        except _load_errors() as error:
            failed = isinstance(error, _start_errors())
            started = not failed or isinstance(error, UnicodeDecodeError)
            if options.device != "cpu" and not started:
                raise EngineError(_no_cuda(options.gpu)) from error
            raise EngineError(
                f"ONNX Runtime cannot read it as an ONNX model ({_first_line(error)})"
            ) from error
        provider = session.get_providers()[0]
        if options.device != "cpu" and provider != CUDA_PROVIDER:
            raise EngineError(_no_cuda(options.gpu))
        session.disable_fallback()  # A run would go on on the processor, with no more than a print.
        self._session = session
        self._output_names = [info.name for info in model.outputs]
        self.precision = model.precision
        version = ".".join(onnxruntime.__version__.split(".")[:2])
        threads = {None: "one thread per core", 1: "1 thread"}
        count = threads.get(options.threads, f"{options.threads} threads")
        place = f"{provider} on GPU {options.gpu}" if options.gpu else provider
        self.description = f"ONNX Runtime {version}, {place}, {self.precision}, {count}"

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            values = self._session.run(self._output_names, arrays)
        except _run_errors() as error:
            raise EngineError(f"ONNX Runtime could not run it ({_first_line(error)})") from error
        return dict(zip(self._output_names, values, strict=True))

    def close(self) -> None:
        del self._session


def _no_cuda(gpu: int) -> str:
    if not gpu:
        return NO_CUDA
    return (
        f"CUDA was asked for on GPU {gpu}, but ONNX Runtime could not start its CUDA provider "
        "there: `nvidia-smi -L` lists the GPUs, counted from 0."
    )


def _providers(options: Options) -> list:
    """The providers to ask for, best first, with their options."""
    if options.device == "cpu":
        return [CPU_PROVIDER]
    onnxruntime = library()
    if CUDA_PROVIDER not in onnxruntime.get_available_providers():
        raise NotInstalled(
            "CUDA was asked for, but the installed ONNX Runtime has no CUDA provider: "
            '`pip uninstall onnxruntime`, then `pip install "onnxruntime-gpu[cuda,cudnn]"`, '
            "or use --device cpu."
        )
    # Finds CUDA and cuDNN where pip puts them; what it prints on failure is no help to a user,
    # and the provider that came up is checked after the session is made.
    _without_printing(onnxruntime.preload_dlls)()
    which = {"device_id": str(options.gpu)} if options.gpu else {}
    return [(CUDA_PROVIDER, CUDA_OPTIONS | which), CPU_PROVIDER]


def _without_printing(function: FunctionType) -> Callable:
    """A copy of `function` that has a silent print of its own: redirecting stdout would take the
    output of all threads, and of two that do it at once one leaves it redirected for good."""
    module = {**function.__globals__, "print": lambda *_, **__: None}
    rest = (function.__name__, function.__defaults__, function.__closure__)
    copy = FunctionType(function.__code__, module, *rest)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _session_options(threads: int | None) -> onnxruntime.SessionOptions:
    options = library().SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    # Threads that spin while they wait take the cores from the other networks, the video decoder
    # and the drawing: MTCNN on a busy machine with two cores takes a tenth less time without.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # By itself ONNX Runtime takes a thread for each core of the machine, whoever may use them.
    threads = threads or processors.restricted()
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def _start_errors() -> tuple[type[Exception], ...]:
    """What a provider throws while it starts."""
    return (RuntimeError, ValueError, *_errors("EPFail"))


def _load_errors() -> tuple[type[Exception], ...]:
    names = ("InvalidGraph", "InvalidProtobuf", "NoModel", "NoSuchFile")
    # ValueError also where a broken file's names that are no text are quoted.
    return (*_start_errors(), *_run_errors(), *_errors(*names))


def _run_errors() -> tuple[type[Exception], ...]:
    return _errors("EPFail", "Fail", "InvalidArgument", "NotImplemented", "RuntimeException")


def _errors(*names: str) -> tuple[type[Exception], ...]:
    """ONNX Runtime's own: each derives from Exception alone, so they have no class in common."""
    return tuple(getattr(library().capi.onnxruntime_pybind11_state, name) for name in names)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
