import json

import pytest

from engine.backends.tensorrt import plan_layers
from engine.backends.tensorrt.plan_layers import LayerCount
from engine.contract import EngineError

BUILDER_LISTING = """Layers:
Name: a, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], TacticName: , StreamId: 0
Name: b, LayerType: kgen, Inputs: [ { Name: faces, Dimensions: [-1,112,112,3], Strides: [3,1], \
Datatype: UInt8, Format: (Linear) }], Constants: [], Outputs: [ { Name: c, Datatype: Half }]
Name: d, LayerType: correlation, Inputs: [ { Name: c, Dimensions: [-1,1,56,56], Datatype: Half, \
Format: (NHWC) }, { Name: e, Datatype: Float }], Constants: [ { Name: f, Dimensions: [8,1,3,3], \
Datatype: Half }], Outputs: [ { Name: g, Datatype: Float }], TacticName: x
Name: h, LayerType: correlation, Inputs: [ { Name: g, Dimensions: [-1,8], Datatype: Half }], \
Constants: [], Outputs: [ { Name: i, Datatype: Half }]
"""


def layers(*counts):
    return tuple(LayerCount(*count) for count in counts)


def test_reads_the_builder_of_tensorrt_rtx():
    assert plan_layers.from_builder(BUILDER_LISTING) == layers(
        ("correlation", "fp16", 2), ("kgen", "uint8", 1)
    )
    assert plan_layers.from_builder("") == ()


def test_reads_the_inspector_of_both_generations():
    old = {
        "Name": "conv",
        "LayerType": "CaskConvolution",
        "Inputs": [{"Name": "x", "Format/Datatype": "Row major linear FP16 format"}],
    }
    vectorized = {**old, "Inputs": [{"Format/Datatype": "Thirty-two wide channel Int8 format."}]}
    new = {"LayerType": "gemm", "Inputs": [{"Datatype": "BFloat16", "Format": "Row major"}]}
    shapes = {"LayerType": "shape_call", "Inputs": []}
    text = json.dumps({"Layers": [old, vectorized, old, new, shapes], "Bindings": ["x"]})
    assert plan_layers.from_inspector(text) == layers(
        ("CaskConvolution", "fp16", 2), ("CaskConvolution", "int8", 1), ("gemm", "bf16", 1)
    )


def test_an_inspector_without_details():
    assert plan_layers.from_inspector(json.dumps({"Layers": ["conv1", "conv2"]})) == ()


@pytest.mark.parametrize(
    ("counts", "precision"),
    [
        ([("correlation", "fp16", 3), ("kgen", "fp32", 9)], "fp16"),
        ([("correlation", "int8", 3), ("gemm", "fp32", 1)], "int8"),
        ([("correlation", "fp32", 3), ("gemm", "fp16", 1)], "fp32"),
        ([("kgen", "fp16", 3), ("kgen", "fp32", 1)], "fp16"),
    ],
)
def test_the_multiplying_layers_decide(counts, precision):
    assert plan_layers.precision_of(layers(*counts)) == precision
    plan_layers.check(layers(*counts), precision)


def test_a_plan_that_came_out_in_another_precision_is_an_error():
    with pytest.raises(EngineError, match="in fp32 although fp16 was asked for: use --prec"):
        plan_layers.check(layers(("correlation", "fp32", 34), ("kgen", "fp16", 50)), "fp16")


def test_a_plan_that_tells_nothing_is_an_error():
    with pytest.raises(EngineError, match="so fp16 cannot be confirmed"):
        plan_layers.check((), "fp16")


def test_summary():
    counts = [("correlation", "int8", 32), ("gemm", "fp32", 1), ("gemm", "int8", 2)]
    text = plan_layers.summary(layers(*counts, ("kgen", "fp32", 5)))
    assert text == "convolutions and matrix products: 34 int8, 1 fp32; others: 5 fp32"
