"""A face model small enough to run a thousand times in a test, and faces for it."""

import csv
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LABELS = ("neutral", "happiness", "surprise", "sadness")


def face_model(seed: int = 0) -> onnx.ModelProto:
    """`faces` → `expression`, `pose`: a grey mean, two convolutions and two linear layers, as the
    shipped model has them, with random weights."""
    random = np.random.default_rng(seed)

    def weights(name, *shape, scale=0.3):
        return numpy_helper.from_array((scale * random.standard_normal(shape)).astype("f4"), name)

    def constant(name, value, dtype):
        return numpy_helper.from_array(np.array(value, dtype), name)

    node = helper.make_node
    nodes = [
        node("Cast", ["faces"], ["bytes"], "cast", to=TensorProto.FLOAT),
        node("Reshape", ["bytes", "shape"], ["plane"], "reshape"),
        node("Conv", ["plane", "grey"], ["pixels"], "grey_mean", strides=[4, 12]),
        node("Conv", ["pixels", "w1"], ["c1"], "first", strides=[2, 2]),
        node("Relu", ["c1"], ["r1"], "relu1"),
        node("Conv", ["r1", "w2"], ["c2"], "second", strides=[2, 2]),
        node("Relu", ["c2"], ["r2"], "relu2"),
        node("ReduceMean", ["r2", "axes"], ["features"], "mean", keepdims=0),
        node("Gemm", ["features", "w3"], ["logits"], "classify"),
        node("Add", ["logits", "bias"], ["sum"], "decide"),
        node("Softmax", ["sum"], ["expression"], "softmax", axis=1),
        node("Gemm", ["features", "w4"], ["pose"], "angles"),
    ]
    initializers = [
        constant("shape", [-1, 1, 112, 336], "i8"),
        constant("grey", np.full((1, 1, 4, 12), 1 / (255 * 48)), "f4"),
        constant("axes", [2, 3], "i8"),
        weights("w1", 16, 1, 3, 3, scale=1),
        weights("w2", 16, 16, 3, 3),
        weights("w3", 16, len(LABELS), scale=2),
        weights("bias", len(LABELS), scale=0.01),
        weights("w4", 16, 3, scale=10),
    ]
    graph = helper.make_graph(
        nodes,
        "face",
        [helper.make_tensor_value_info("faces", TensorProto.UINT8, ["batch", 112, 112, 3])],
        [
            helper.make_tensor_value_info("expression", TensorProto.FLOAT, ["batch", len(LABELS)]),
            helper.make_tensor_value_info("pose", TensorProto.FLOAT, ["batch", 3]),
        ],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"labels": json.dumps(LABELS)})
    onnx.checker.check_model(model, full_check=True)
    return model


def random_faces(count: int, channels: int = 3) -> np.ndarray:
    """uint8 (count, 112, 112, channels): coarse patches, which are not averaged away."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (count, 7, 7, channels), dtype=np.uint8)
    return coarse.repeat(16, axis=1).repeat(16, axis=2)


def write_prepared(folder, faces: np.ndarray, labels=None, splits=None) -> None:
    """The faces as prepared data; all in the test split, without labels, where not said."""
    folder.mkdir()
    np.save(folder / "faces.npy", faces)
    with open(folder / "labels.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "split", "label"])
        for index in range(len(faces)):
            split = splits[index] if splits else "test"
            writer.writerow([index, split, labels[index] if labels else ""])
