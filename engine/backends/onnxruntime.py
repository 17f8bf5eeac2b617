"""ONNX Runtime: any CPU, and NVIDIA cards through its CUDA provider."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from engine.backends import EngineError, TensorInfo

CPU_PROVIDER = "CPUExecutionProvider"
CUDA_PROVIDER = "CUDAExecutionProvider"

# Each derives from Exception alone, so there is no common class to name.
LOAD_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
RUN_ERRORS = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)

_FATAL_ONLY = 4
# ONNX Runtime's own notices (no graphics card here, and the like) tell a user nothing to act on;
# what matters is checked and said by this module.
onnxruntime.set_default_logger_severity(_FATAL_ONLY)

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


def load(model: bytes, device: str, threads: int | None) -> OnnxRuntimeBackend:
    """The loaded model. `device` is "auto", "cpu" or "cuda"; EngineError where it cannot be had."""
    return OnnxRuntimeBackend(model, device, threads)


class OnnxRuntimeBackend:
    """A model in an ONNX Runtime session; see :class:`engine.backends.Backend`."""

    def __init__(self, model: bytes, device: str, threads: int | None):
        providers = _providers(device)
        options = _session_options(threads)
        try:
            # InferenceSession prints its own fallback notices; the check below replaces them.
            with contextlib.redirect_stdout(io.StringIO()):
                session = onnxruntime.InferenceSession(model, options, providers=providers)
        except LOAD_ERRORS as error:
            raise EngineError(
                f"ONNX Runtime cannot read it as an ONNX model ({_first_line(error)})"
            ) from error
        provider = session.get_providers()[0]
        if device == "cuda" and provider != CUDA_PROVIDER:
            raise EngineError(
                "CUDA was asked for, but ONNX Runtime could not start its CUDA provider: check "
                "the driver with nvidia-smi and install CUDA and cuDNN with "
                '`pip install "onnxruntime-gpu[cuda,cudnn]"`, or use --device cpu.'
            )
        self._session = session
        self.inputs = tuple(_tensor_info(node) for node in session.get_inputs())
        self.outputs = tuple(_tensor_info(node) for node in session.get_outputs())
        self.metadata = dict(session.get_modelmeta().custom_metadata_map)
        self._output_names = [info.name for info in self.outputs]
        self.description = _description(provider, providers, self.inputs, self.outputs, threads)

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            values = self._session.run(self._output_names, arrays)
        except RUN_ERRORS as error:
            raise EngineError(f"ONNX Runtime could not run it ({_first_line(error)})") from error
        return dict(zip(self._output_names, values))

    def close(self) -> None:
        del self._session


def _providers(device: str) -> list[str]:
    """The providers to ask for, best first."""
    has_cuda = CUDA_PROVIDER in onnxruntime.get_available_providers()
    if device == "cuda" and not has_cuda:
        raise EngineError(
            "CUDA was asked for, but the installed ONNX Runtime has no CUDA provider: "
            "`pip uninstall onnxruntime`, then `pip install \"onnxruntime-gpu[cuda,cudnn]\"`, "
            "or use --device cpu."
        )
    if device == "cpu" or not has_cuda:
        return [CPU_PROVIDER]
    # Finds CUDA and cuDNN where pip puts them; what it prints on failure is no help to a user,
    # and the provider that came up is checked after the session is made.
    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()
    return [CUDA_PROVIDER, CPU_PROVIDER]


def _session_options(threads: int | None) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    # Threads that spin while they wait take the cores from the other networks, the video decoder
    # and the drawing: MTCNN on a busy machine with two cores takes a tenth less time without.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def _tensor_info(node) -> TensorInfo:
    if node.type not in _DTYPES:
        raise EngineError(
            f"its tensor {node.name} has the type {node.type}, which is not supported"
        )
    shape = tuple(
        size if isinstance(size, int) else size or f"dim{axis}"
        for axis, size in enumerate(node.shape)
    )
    return TensorInfo(node.name, np.dtype(_DTYPES[node.type]), shape)


def _description(provider, asked, inputs, outputs, threads) -> str:
    version = ".".join(onnxruntime.__version__.split(".")[:2])
    dtypes = {info.dtype for info in (*inputs, *outputs)}
    precision = "fp16" if np.dtype(np.float16) in dtypes else "fp32"
    count = "one thread per core" if threads is None else f"{threads} threads"
    parts = [f"ONNX Runtime {version}", provider, precision, count]
    if provider != asked[0]:
        parts.append(f"{asked[0]} could not start")
    return ", ".join(parts)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
