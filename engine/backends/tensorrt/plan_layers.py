"""What TensorRT really built: the layers of a plan and the types they compute in."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from engine.contract import EngineError

_TYPES = {
    "Float": "fp32",
    "FP32": "fp32",
    "Half": "fp16",
    "FP16": "fp16",
    "BFloat16": "bf16",
    "BF16": "bf16",
    "Int8": "int8",
    "INT8": "int8",
    "UInt8": "uint8",
    "Int32": "int32",
    "Int64": "int64",
    "Bool": "bool",
}
_TYPE = re.compile(rf"\b({'|'.join(_TYPES)})\b")

_MULTIPLYING = re.compile("correlation|conv|gemm|matmul|matrix|fusion", re.IGNORECASE)
"""Kinds of layers that do a network's multiplications; nearly all the time goes there."""


@dataclass(frozen=True, slots=True)
class LayerCount:
    """How many layers of a plan are of one kind and compute in one type.

    kind: TensorRT's LayerType, such as "correlation" (a convolution), "gemm" or "kgen" (generated
    code for whatever was fused). precision: the type of a layer's first input: "fp32", "int8", …
    """

    kind: str
    precision: str
    count: int

    @property
    def multiplies(self) -> bool:
        """Whether these are convolutions or matrix products."""
        return _MULTIPLYING.search(self.kind) is not None


def from_inspector(text: str) -> tuple[LayerCount, ...]:
    """The layers in an engine inspector's JSON; empty where it holds no details.

    TensorRT 10 writes the type into a sentence ("Format/Datatype": "Row major linear FP16
    format"), later versions alone ("Datatype": "Half").
    """
    layers = [layer for layer in json.loads(text)["Layers"] if isinstance(layer, dict)]
    return _counted((layer["LayerType"], _first_type(layer.get("Inputs", ()))) for layer in layers)


def _first_type(tensors) -> str:
    texts = (tensor.get("Datatype") or tensor.get("Format/Datatype", "") for tensor in tensors)
    return next((precision for text in texts if (precision := _type_in(text))), "")


def from_builder(text: str) -> tuple[LayerCount, ...]:
    """The layers in the listing that the builder of tensorrt-rtx logs after a build.

    It is the inspector's text about the same engine, and can be had without a GPU, which an
    inspector cannot: it needs a deserialised engine, and that needs a driver.
    """
    found = re.findall(r"LayerType: (\w+), Inputs: \[(.*?)\], (?:Constants|Outputs):", text)
    return _counted((kind, _type_in(inputs)) for kind, inputs in found)


def _type_in(text: str) -> str:
    match = _TYPE.search(text.partition("Datatype: ")[2] or text)
    return _TYPES[match[1]] if match else ""


def _counted(layers: Iterable[tuple[str, str]]) -> tuple[LayerCount, ...]:
    # Signals and waits between streams have no tensors and no type.
    counts = Counter(layer for layer in layers if layer[1])
    return tuple(LayerCount(*layer, count) for layer, count in sorted(counts.items()))


def precision_of(layers: Iterable[LayerCount]) -> str:
    """The type in which most convolutions and matrix products compute; "" without layers."""
    layers = tuple(layers)
    totals: Counter[str] = Counter()
    for layer in [layer for layer in layers if layer.multiplies] or layers:
        totals[layer.precision] += layer.count
    return totals.most_common(1)[0][0] if totals else ""


def check(layers: Iterable[LayerCount], asked: str) -> None:
    """EngineError where a plan does not compute in the precision that was asked for."""
    built = precision_of(layers)
    if not built:
        raise EngineError(
            f"TensorRT does not say in which precision it built the plan, so {asked} cannot be "
            "confirmed: use another version of TensorRT, or --backend onnxruntime."
        )
    if built != asked:
        raise EngineError(
            f"TensorRT built the plan in {built} although {asked} was asked for: "
            f"use --precision {built}."
        )


def summary(layers: Iterable[LayerCount]) -> str:
    """For people: "34 fp16 convolutions and matrix products; others: 7 fp16, 3 fp32"."""
    parts = []
    for multiplies, title in ((True, "convolutions and matrix products"), (False, "others")):
        counts: Counter[str] = Counter()
        for layer in layers:
            if layer.multiplies is multiplies:
                counts[layer.precision] += layer.count
        if counts:
            listed = ", ".join(f"{count} {precision}" for precision, count in counts.most_common())
            parts.append(f"{title}: {listed}")
    return "; ".join(parts)
