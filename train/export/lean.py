"""Makes a trained network ready to ship: without the layers that training alone needs, and with
weights that every precision it is run in can hold."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import torch
from torch import nn

from train.networks.face_model import ExpressionBranch, FaceModel, PoseBranch

_WEIGHTED = ("Conv", "Gemm", "MatMul")


def without_projections(model: FaceModel) -> FaceModel:
    """A copy whose heads see the encoders' own features: the linear layer that makes them as long
    as f_id, which training alone needs, is folded into the linear layers after it."""
    model = copy.deepcopy(model)
    for branch in (model.expression, model.pose):
        if not isinstance(branch, ExpressionBranch | PoseBranch):
            continue  # other recipes' heads see something else than the feature
        project = branch.encoder.project
        if isinstance(project, nn.Linear):
            for name, head in list(branch.named_children()):
                if isinstance(head, nn.Linear):
                    setattr(branch, name, in_one(project, head))
            branch.encoder.project = nn.Identity()
    return model


@torch.no_grad()
def in_one(first: nn.Linear, second: nn.Linear) -> nn.Linear:
    """The linear layer that does what these two do, one after the other."""
    both = nn.Linear(first.in_features, second.out_features)
    weight = second.weight.double()
    both.weight.copy_(weight @ first.weight.double())
    both.bias.copy_(weight @ first.bias.double() + second.bias.double())
    return both


def round_weights(model: onnx.ModelProto) -> None:
    """Rounds the weights of convolutions and matrix products to the nearest number that bfloat16
    holds, in place; biases and the file's float32 stay.

    Only here can that be done: the exporter has folded batch normalisation into the weights. What
    is computed in bfloat16 then differs from float32 in the activations alone, not in the weights
    as well. float16 holds the same numbers, from 8e-6 to 65504.
    """
    weights = {node.input[1] for node in model.graph.node if node.op_type in _WEIGHTED}
    for tensor in model.graph.initializer:
        if tensor.name in weights and tensor.data_type == onnx.TensorProto.FLOAT:
            rounded = nearest_bfloat16(onnx.numpy_helper.to_array(tensor))
            tensor.CopyFrom(onnx.numpy_helper.from_array(rounded, tensor.name))


def nearest_bfloat16(values: np.ndarray) -> np.ndarray:
    """`values`, float32, each rounded to bfloat16 (ties to even) and given back as float32."""
    tensor = torch.from_numpy(np.array(values, dtype=np.float32))
    return tensor.to(torch.bfloat16).float().numpy()
