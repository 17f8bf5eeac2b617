"""Starts networks from an exported model file, for whoever has no run: to go on from the weights
that ship."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from train.errors import UserError
from train.networks.face_model import FaceModel
from train.networks.mobilenet import open_normalisation

if TYPE_CHECKING:
    import onnx

PREFIX = "model."
"""What the names of a file begin with that the model itself does not have."""


def start_from_file(
    path: Path, model: FaceModel, faces: Tensor | None, branch: str = ""
) -> None:
    """Give `model` the weights of an ONNX file that `export face` wrote of the same networks;
    UserError where it is another. Its decision is left out: training begins with none.

    Export has folded batch normalisation into the convolutions. It is opened again with the
    statistics of `faces`, uint8 (n, 112, 112, channels), so that the function stays the same;
    without faces the function is the same, but not one to go on training with. branch: expression
    or pose, for that one alone.
    """
    weights = _read(path)
    loaded = set()
    with torch.no_grad():
        for name, conv, norm in _pairs(model):
            if not name.startswith(branch):
                continue
            weight, bias = weights.get(f"{name}.weight"), weights.get(f"{name}.weight_bias")
            if weight is None or bias is None or weight.shape != conv.weight.shape:
                raise UserError(
                    f"--initial {path}: its networks are others ({name} does not fit); give the "
                    "--network and --pose-network that its entry in models.json names."
                )
            conv.weight.copy_(weight)
            norm.weight.fill_((1 + norm.eps) ** 0.5)
            norm.bias.copy_(bias)
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.zero_()
            norm.running_var.fill_(1)
            loaded.add(f"{name}.weight")
        for name, own in model.named_parameters():
            found = weights.get(name) if name.startswith(branch) else None
            if name not in loaded and found is not None and found.shape == own.shape:
                own.copy_(found)
    if faces is not None:
        model.eval()
        open_normalisation(model, faces)
        model.train()


def started_from(path: Path) -> str | None:
    """The recognition network's file that a model file's weights started from; None for none."""
    found = {each.key: each.value for each in _model(path).metadata_props}.get("started_from")
    return found.partition(":")[0] if found else None


def _pairs(model: FaceModel) -> list[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
    """Each convolution with its name and the batch normalisation that follows it."""
    modules = [(name, each) for name, each in model.named_modules() if isinstance(each, LAYERS)]
    found = []
    for (name, conv), (_, norm) in zip(modules, modules[1:], strict=False):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            found.append((name, conv, norm))
    return found


LAYERS = (nn.Conv2d, nn.BatchNorm2d)


def _read(path: Path) -> dict[str, Tensor]:
    """The weights of a file by the names of the model."""
    from onnx import numpy_helper  # as late as in _model

    return {
        tensor.name.removeprefix(PREFIX): torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in _model(path).graph.initializer
        if tensor.name.startswith(PREFIX)
    }


def _model(path: Path) -> onnx.ModelProto:
    # Here, since loading them takes time that not every command has to wait for.
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        return onnx.load(path)
    except (DecodeError, ValueError) as error:
        raise UserError(f"--initial {path} is not an ONNX file: {error}.") from None
