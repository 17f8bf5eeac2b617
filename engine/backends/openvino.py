"""OpenVINO: Intel's library for CPUs, which runs on those of AMD and Arm as well."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from engine import processors
from engine.contract import MAX_BATCH, BackendInfo, EngineError, Options, Way
from engine.model_file import ModelFile

if TYPE_CHECKING:
    import openvino

INFO = BackendInfo(
    title="OpenVINO",
    modules=("openvino",),
    install='pip install ".[openvino]"',
    # Last of all in fp32, for it prepares anew for every shape of input, and MTCNN's change from
    # frame to frame.
    ways=(Way("cpu", "int8", 40), Way("cpu", "fp32", 70)),
    converts=("fp32", "fp16", "bf16"),
)

_CAPABILITIES = {"fp32": "FP32", "fp16": "FP16", "bf16": "BF16", "int8": "INT8"}
"""Precision → its name among the capabilities of a CPU."""

_HINTS = {"fp32": "f32", "fp16": "f16", "bf16": "bf16", "int8": "f32"}
"""Precision → what to compute in wherever the graph does not say INT8."""

_ELEMENT_TYPES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "u8": "int8", "i8": "int8"}
"""OpenVINO's name of an element type → precision."""

_LAYERS_WITHOUT_ARITHMETIC = ("Input", "Output", "Parameter", "Result", "Const", "Reorder")


@cache
def library() -> ModuleType:
    """The package openvino, imported here and nowhere else, so that it reports to nobody."""
    # The converters that it brings along report its import to its makers through this package,
    # and do without where it is missing.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def load(model: ModelFile, options: Options) -> OpenVinoBackend:
    """The compiled model; EngineError where the device or precision cannot be had."""
    core = library().Core()
    known = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if model.precision not in (options.precision, "fp32"):
        raise EngineError(
            f"{model.path.name} is written in {model.precision} and cannot be computed in "
            f"{options.precision}: use --precision {model.precision}."
        )
    if _CAPABILITIES[options.precision] not in known:
        can = ", ".join(name for name, capability in _CAPABILITIES.items() if capability in known)
        raise EngineError(
            f"OpenVINO has no {options.precision} on this processor: use --precision with one of "
            f"{can}."
        )
    return OpenVinoBackend(core, model, options)


class OpenVinoBackend:
    """A model compiled for the CPU; see :class:`engine.contract.Backend`.

    Calls take turns: one inference request works on one batch at a time, with all threads, which
    gives one call its lowest latency. A request of its own for a batch of one, the usual case,
    spares it the handling of free sizes, a sixth of the time.
    """

    max_batch = MAX_BATCH
    concurrent = False

    def __init__(self, core: openvino.Core, model: ModelFile, options: Options):
        settings: dict[str, str | int] = {
            "PERFORMANCE_HINT": "LATENCY",
            # OpenVINO takes bf16 unasked where the processor has it.
            "INFERENCE_PRECISION_HINT": _HINTS[options.precision],
        }
        limit = options.threads or processors.restricted()
        if limit is not None:
            settings["INFERENCE_NUM_THREADS"] = limit
        single = {info.name: [1, *info.shape[1:]] for info in model.inputs}
        try:
            network = core.read_model(model.content)
            if options.precision == "bf16":
                _show_logits(network)
            compiled = core.compile_model(network, "CPU", settings)
            self._any_batch = compiled.create_infer_request()
            self._one_image = self._any_batch
            if all(isinstance(size, int) for shape in single.values() for size in shape):
                network.reshape(single)
                compiled_for_one = core.compile_model(network, "CPU", settings)
                self._one_image = compiled_for_one.create_infer_request()
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot compile it ({_cause(error)})") from error
        self._turn = threading.Lock()
        self._output_names = [info.name for info in model.outputs]
        self.precision = _precision_of(compiled)
        if self.precision != options.precision:
            raise EngineError(
                f"OpenVINO computes it in {self.precision}, not in {options.precision} as asked: "
                f"use --precision {self.precision}."
            )
        version = ".".join(library().__version__.split(".")[:2])
        count = compiled.get_property("INFERENCE_NUM_THREADS")
        threads = "1 thread" if count == 1 else f"{count} threads"
        self.description = f"OpenVINO {version}, CPU, {self.precision}, {threads}"

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        single = all(len(array) == 1 for array in arrays.values())
        request = self._one_image if single else self._any_batch
        with self._turn:
            try:
                request.infer(arrays, share_inputs=True, share_outputs=True)
            except RuntimeError as error:
                raise EngineError(f"OpenVINO could not run it ({_cause(error)})") from error
            # The request writes into the same memory in the next run: hence copies.
            return {name: request.get_tensor(name).data.copy() for name in self._output_names}

    def close(self) -> None:
        del self._any_batch, self._one_image


def _show_logits(network: openvino.Model) -> None:
    """Makes the logits an output of their own: asked for bf16, OpenVINO hands what it computes from
    layer to layer in bf16, which between 4 and 8 has steps of 0.03, and only outputs in fp32."""
    softmax = [node for node in network.get_ops() if node.get_type_name() == "Softmax"]
    network.add_outputs([node.input_value(0) for node in softmax])


def _precision_of(compiled: openvino.CompiledModel) -> str:
    """What most convolutions, or else matrix products, or else layers were really compiled to."""
    layers = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    kinds = [(_text(layer, "layerType"), _text(layer, "runtimePrecision")) for layer in layers]
    convolutions = [how for kind, how in kinds if kind == "Convolution"]
    products = [how for kind, how in kinds if kind in ("FullyConnected", "MatMul")]
    others = [how for kind, how in kinds if kind not in _LAYERS_WITHOUT_ARITHMETIC]
    ((most, _),) = Counter(convolutions or products or others or ["f32"]).most_common(1)
    return _ELEMENT_TYPES.get(most, most)


def _text(layer, key: str) -> str:
    return layer[key].astype(str) if key in layer else ""


def _cause(error: RuntimeError) -> str:
    """The last line of OpenVINO's message: the ones before say where in its source it arose."""
    return str(error).strip().splitlines()[-1]
