"""What a processor computes whose INT8 instruction overflows, in NumPy.

Processors before VNNI multiply unsigned by signed bytes with one instruction (vpmaddubsw) that adds
two neighbouring products in 16 bits and stops at ±32 767. Where activations and weights are large,
sums come out too small there, and nowhere else.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

DOMAIN = "saturating"


class Conv(OpRun):
    """A convolution over INT8 in which the sum of two neighbouring channels stops at `limit`. One
    of each channel by itself has no such sums: a single product fits."""

    op_domain = DOMAIN

    def _run(
        self,
        x,
        weights,
        bias=None,
        strides=None,
        pads=None,
        scale=1.0,
        zero=0,
        limit=0,
        group=1,
        **_,
    ):
        weight_scales = np.abs(weights).reshape(len(weights), -1).max(axis=1) / 127
        weight_scales = np.maximum(weight_scales, 1e-12)  # channels that nothing is left of
        w = np.rint(weights / weight_scales[:, None, None, None])
        q = np.rint(x / scale) + zero
        top, left, bottom, right = pads
        edges = ((0, 0), (0, 0), (top, bottom), (left, right))
        q = np.pad(q, edges, constant_values=zero)
        rows, columns = w.shape[2:]
        height = (q.shape[2] - rows) // strides[0] + 1
        width = (q.shape[3] - columns) // strides[1] + 1
        total = np.zeros((len(x), len(w), height, width), np.float32)
        for row in range(rows):
            for column in range(columns):
                down = slice(row, row + strides[0] * height, strides[0])
                along = slice(column, column + strides[1] * width, strides[1])
                seen = q[:, :, down, along]
                if group > 1:
                    taps = w[:, 0, row, column].astype(np.float32)
                    total += np.clip(seen * taps[None, :, None, None], -limit - 1, limit)
                    continue
                for channel in range(0, w.shape[1], 2):
                    pair = slice(channel, channel + 2)
                    taps = w[:, pair, row, column].astype(np.float32)
                    products = np.einsum("nchw,oc->nohw", seen[:, pair].astype(np.float32), taps)
                    total += np.clip(products, -limit - 1, limit)
        total -= zero * w.sum(axis=(1, 2, 3), dtype=np.float32)[None, :, None, None]
        result = total * (scale * weight_scales)[None, :, None, None]
        return ((result + (0 if bias is None else bias[None, :, None, None])).astype(np.float32),)


def evaluator(content: bytes, limit: int) -> ReferenceEvaluator:
    """Runs the INT8 model `content` with the convolutions above in place of the exact ones."""
    model = onnx.load_from_string(content)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    made_by = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        source = made_by.get(node.input[0]) if node.input else None
        if node.op_type == "Conv" and source is not None and source.op_type == "DequantizeLinear":
            _, scale, zero = (values.get(name) for name in source.input)
            node.domain = DOMAIN
            facts = {"scale": float(scale), "zero": int(zero), "limit": limit}
            node.attribute.extend(helper.make_attribute(name, fact) for name, fact in facts.items())
    model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return ReferenceEvaluator(model, new_ops=[Conv])
