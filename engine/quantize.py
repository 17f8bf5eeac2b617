"""INT8 models (QDQ) from fp32 ones, calibrated on real faces.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2018, after training, by ONNX Runtime's own tool. Weights per output channel,
activations per tensor, ranges as seen over the calibration faces.

What stays float, by measurement on FERPlus validation faces: the way from bytes to pixels and the
narrow convolutions after it, in which rounding changes twice as many labels as in the wide ones;
and the last linear layers with what follows them, where INT8 makes the error in pose seven times
as large and saves nothing.
"""

from __future__ import annotations

import json
import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from engine import output, registry
from engine.backends import INT8_FLAVOURS
from engine.backends import onnxruntime as onnxruntime_backend
from engine.contract import EngineError, Int8Flavour
from engine.measure.face_data import FACE_SIZE, read_faces
from engine.model_file import ModelFile

OPERATORS = ["Conv", "Add", "Relu", "Clip", "MaxPool"]
"""Operator types that become INT8; Clip is what ReLU6 is exported as."""

BATCH = 16


def quantize(
    model_name: str | Path, faces: Path, flavour_name: str = "cpu", count: int = 512
) -> registry.ModelEntry:
    """Writes the INT8 flavour of a face model beside it and its entry in models.json.

    faces: folder for engine.measure.face_data.read_faces, of which only the training split is used.
    flavour_name: one of engine.backends.INT8_FLAVOURS: "cpu" has unsigned activations and signed
    weights (U8S8); "tensorrt" has both signed and symmetric, and float biases. count: how many
    faces to calibrate on. EngineError for a flavour that does not exist, and for a model that is
    not fp32 or does not take aligned faces.
    """
    if flavour_name not in INT8_FLAVOURS:
        known = ", ".join(INT8_FLAVOURS)
        raise EngineError(f"There is no INT8 flavour {flavour_name}. Flavours: {known}.")
    flavour = INT8_FLAVOURS[flavour_name]
    model = registry.read(registry.find(model_name))
    (input_name,) = _checked_inputs(model)
    data = read_faces(faces, "train", count)
    path = registry.int8_path(model, flavour)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        prepared, quantized = Path(folder) / "prepared.onnx", Path(folder) / "quantized.onnx"
        quant_pre_process(str(model.path), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared),
            str(quantized),
            _Calibration(input_name, data.faces),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            op_types_to_quantize=OPERATORS,
            nodes_to_exclude=sorted(float_nodes(onnx.load(prepared).graph)),
            **_types(flavour),
        )
        result = onnx.load(quantized)
    about = {"flavour": flavour.name, "calibration_faces": len(data.faces)}
    metadata = {
        **model.metadata,
        registry.QUANTIZED_FROM: model.sha256,
        "quantization": json.dumps(about),
    }
    del result.metadata_props[:]
    onnx.helper.set_model_props(result, metadata)
    onnx.checker.check_model(result, full_check=True)
    output.write(path, result.SerializeToString(deterministic=True))
    return _register(model, path, flavour, len(data.faces))


def float_nodes(graph: onnx.GraphProto) -> set[str]:
    """Names of the nodes that stay float: before the first convolution of each branch that is at
    least half as wide as the widest, and from the linear layers on. The graph is in topological
    order, as ONNX demands."""
    weights = {tensor.name: tensor.dims for tensor in graph.initializer}
    widths = [_outputs_of(node, weights) for node in graph.node if node.op_type == "Conv"]
    wide = max(widths, default=0) / 4
    features: set[str] = set()
    heads: set[str] = set()
    kept = set()
    for node in graph.node:
        sources = set(node.input)
        is_wide = node.op_type == "Conv" and _outputs_of(node, weights) >= wide
        if is_wide or sources & features:
            features |= set(node.output)
        else:
            kept.add(node.name)
        if (node.op_type in ("Gemm", "MatMul") and sources & features) or sources & heads:
            heads |= set(node.output)
            kept.add(node.name)
    return kept


class _Calibration(quantization.CalibrationDataReader):
    """Hands the faces over in batches."""

    def __init__(self, input_name: str, faces: np.ndarray):
        starts = range(0, len(faces), BATCH)
        self._batches = iter([{input_name: faces[start : start + BATCH]} for start in starts])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


def _types(flavour: Int8Flavour) -> dict:
    signed, unsigned = quantization.QuantType.QInt8, quantization.QuantType.QUInt8
    if not flavour.symmetric:
        return {"weight_type": signed, "activation_type": unsigned}
    options = {"ActivationSymmetric": True, "QuantizeBias": False, "AddQDQPairToWeight": True}
    return {"weight_type": signed, "activation_type": signed, "extra_options": options}


def _checked_inputs(model: ModelFile) -> list[str]:
    if model.precision != "fp32":
        raise EngineError(
            f"{model.path.name} is written in {model.precision}: quantise the fp32 model it was "
            "made from."
        )
    for info in model.inputs:
        if info.shape[1:] != (FACE_SIZE, FACE_SIZE, 3) or info.dtype != np.uint8:
            raise EngineError(
                f"{model.path.name} takes {info}, not aligned faces (uint8 N×112×112×3), so faces "
                "cannot calibrate it: give a face model."
            )
    return [info.name for info in model.inputs]


def _outputs_of(node: onnx.NodeProto, weights: dict) -> int:
    """Output channels of a convolution; 0 where its weights are computed in the graph, as those
    of the way from bytes to pixels are."""
    return weights[node.input[1]][0] if node.input[1] in weights else 0


def _register(
    model: ModelFile, path: Path, flavour: Int8Flavour, count: int
) -> registry.ModelEntry:
    """The entry of the original, as far as it holds for the INT8 flavour too."""
    original = registry.listed(model.path)
    return registry.register(
        path,
        made_by=f"python -m engine quantize --model {model.path.stem} --flavour {flavour.name}",
        source=original.source if original else str(model.path.name),
        licence=original.licence if original else "as that of the model it was made from",
        notes=f"{flavour.kind} of {model.path.name}, calibrated on {count} training faces",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the tool's advice to preprocess, which has been done, and its progress notes."""
    onnxruntime_backend.library()  # Keeps ONNX Runtime's own notices back.
    notes = _NotesOfThisThread()
    logging.root.addFilter(notes)
    try:
        yield
    finally:
        logging.root.removeFilter(notes)


class _NotesOfThisThread(logging.Filter):
    """Holds back what the thread that made it logs, up to warnings, and nothing of the others:
    logging.disable is for the whole process, and of two threads that use it at once one leaves it
    switched off for good."""

    def __init__(self):
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread != self._thread or record.levelno > logging.WARNING
