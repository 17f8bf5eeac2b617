"""Reads what the engine must know of an ONNX file, without the onnx package.

An ONNX file is one protobuf message (onnx.proto of the ONNX project). The few fields that matter
here are picked out of its wire format and the weights are stepped over, which takes a millisecond;
every backend then agrees on names, shapes and metadata, whatever its library makes of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.contract import EngineError, TensorInfo

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_DTYPES = {
    1: np.float32,
    2: np.uint8,
    3: np.int8,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    10: np.float16,
    11: np.float64,
}
"""TensorProto.DataType → dtype, for inputs and outputs."""

_HALF_PRECISIONS = {10: "fp16", 16: "bf16"}
_INTEGER_OPERATORS = {"DequantizeLinear", "QLinearConv", "ConvInteger", "MatMulInteger"}


@dataclass(frozen=True, slots=True)
class ModelFile:
    """An ONNX model as read from disk.

    path: where it was. content: its bytes. sha256: their hex digest. inputs, outputs: as the graph
    declares them. metadata: the key-value pairs stored in it. operators: the operator types in the
    graph. precision: "int8" where the graph holds QDQ nodes, "fp16" or "bf16" where it has weights
    of half precision, else "fp32".
    """

    path: Path
    content: bytes
    sha256: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    metadata: dict[str, str]
    operators: frozenset[str]
    precision: str


def parse(path: Path, content: bytes, sha256: str) -> ModelFile:
    """The model in `content`; EngineError where that is not a whole ONNX model."""
    try:
        model = _fields(memoryview(content))
        (graph_bytes,) = model[7]
        graph = _fields(graph_bytes)
        weights = {_text(tensor[8][0]): tensor for tensor in map(_fields, graph.get(5, ()))}
        inputs = tuple(_tensor_info(value) for value in graph.get(11, ()))
        outputs = tuple(_tensor_info(value) for value in graph.get(12, ()))
        operators = frozenset(_text(_fields(node)[4][0]) for node in graph.get(1, ()))
        metadata = dict(_key_and_value(pair) for pair in model.get(14, ()))
        precision = _precision(operators, [tensor[2][0] for tensor in weights.values()])
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise EngineError(
            f"{path} cannot be opened: it is not a whole ONNX model; restore or export it again."
        ) from error
    # Old files list their weights among the inputs.
    inputs = tuple(info for info in inputs if info.name not in weights)
    return ModelFile(path, content, sha256, inputs, outputs, metadata, operators, precision)


def _precision(operators: frozenset[str], weight_types: list[int]) -> str:
    if operators & _INTEGER_OPERATORS:
        return "int8"
    halves = (_HALF_PRECISIONS[kind] for kind in weight_types if kind in _HALF_PRECISIONS)
    return next(halves, "fp32")


def _tensor_info(value_info: memoryview) -> TensorInfo:
    """ValueInfoProto → TensorInfo; a free dimension without a name is called by its axis."""
    value = _fields(value_info)
    name = _text(value[1][0])
    tensor_type = _fields(_fields(value[2][0])[1][0])
    element_type = tensor_type[1][0]
    if element_type not in _DTYPES:
        raise EngineError(
            f"The tensor {name} has the ONNX element type {element_type}, which is not supported: "
            "export the model with numbers as inputs and outputs."
        )
    dimensions = [_fields(dimension) for dimension in _fields(tensor_type[2][0]).get(1, ())]
    shape = tuple(_size(dimension, axis) for axis, dimension in enumerate(dimensions))
    return TensorInfo(name, np.dtype(_DTYPES[element_type]), shape)


def _size(dimension: dict[int, list], axis: int) -> int | str:
    if 1 in dimension:
        return dimension[1][0]
    return _text(dimension[2][0]) if 2 in dimension else f"dim{axis}"


def _key_and_value(pair: memoryview) -> tuple[str, str]:
    fields = _fields(pair)
    return _text(fields[1][0]), _text(fields[2][0]) if 2 in fields else ""


def _text(content: memoryview) -> str:
    return bytes(content).decode("utf-8")


def _fields(message: memoryview) -> dict[int, list]:
    """Field number → its values in order: int for a varint, memoryview for everything else."""
    fields: dict[int, list] = {}
    for number, value in _walk(message):
        fields.setdefault(number, []).append(value)
    return fields


def _walk(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    position, end = 0, len(message)
    while position < end:
        key, position = _varint(message, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            length, position = _varint(message, position)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} is not used by ONNX")
        if position + length > end:
            raise ValueError("the message ends inside a field")
        yield key >> 3, message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """The number at `position` and the position after it; IndexError at the end."""
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
