"""The ONNX graph of which TensorRT builds a plan: its types are the plan's types.

fp32 is the graph as it is; fp16 is a copy of it with weights and arithmetic in fp16, made here;
int8 is a graph with QDQ nodes (S8S8, symmetric, biases not quantised), made by ``python -m engine
quantize``. The uint8 input of the face model needs nothing: TensorRT and TensorRT-RTX take uint8
at the border of a network where a Cast follows, and that is how the graph begins.
"""

from __future__ import annotations

import numpy as np

from engine.contract import EngineError
from engine.model_file import ModelFile

PRECISIONS = ("fp32", "fp16", "int8")


def graph_for(model: ModelFile, precision: str) -> bytes:
    """The ONNX graph whose types are those of `precision`; EngineError where there is none."""
    if precision not in PRECISIONS:
        raise EngineError(
            f"TensorRT runs a model in {', '.join(PRECISIONS)}, not in {precision}: choose one."
        )
    if model.precision == precision:
        return model.content
    if precision == "int8":
        raise EngineError(
            f"{model.path.name} holds no QDQ nodes, so there is no int8 of it: make one with "
            "`python -m engine quantize --flavour tensorrt`."
        )
    if model.precision == "fp32":
        return half_precision(model.content)
    raise EngineError(
        f"{model.path.name} is a model in {model.precision} and cannot be had in {precision}: "
        f"use --precision {model.precision}, or give the fp32 model."
    )


def half_precision(content: bytes) -> bytes:
    """The fp32 model `content` with weights and arithmetic in fp16, inputs and outputs as before.

    A uint8 input is cast to fp16, which holds 0 to 255 exactly, where it was cast to fp32. Softmax
    stays in fp32. EngineError where a weight is too large for fp16 or `onnx` is not installed.
    """
    try:
        import onnx
        from onnxruntime.transformers import float16
        from onnxruntime.transformers.onnx_model import OnnxModel
    except ModuleNotFoundError as error:
        raise EngineError(
            f"A plan in fp16 is made with the package {error.name}: `pip install {error.name}`, "
            "or use --precision fp32."
        ) from error
    model = onnx.load_from_string(content)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            largest = np.abs(onnx.numpy_helper.to_array(tensor)).max(initial=0)
            if largest > np.finfo(np.float16).max:
                raise EngineError(
                    f"The weight {tensor.name} reaches {largest:g}, which fp16 cannot hold: "
                    "use --precision fp32."
                )
    blocked = [*float16.DEFAULT_OP_BLOCK_LIST, "Softmax"]
    half = OnnxModel(
        float16.convert_float_to_float16(model, keep_io_types=True, op_block_list=blocked)
    )
    # The casts stand at the end of the graph, where ONNX does not allow them.
    half.topological_sort()
    return half.model.SerializeToString()
