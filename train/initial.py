"""Starts networks from the weights of an earlier run."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from train.checkpoint import load_state
from train.data.prepared import DataError
from train.networks.face_model import ExpressionBranch, FaceModel
from train.run import RunFolder


def start_from(
    run: Path, model: FaceModel, discriminator: ExpressionBranch | None = None
) -> None:
    """Copy what fits of the best epoch of `run` into E_exp, E_pose and their heads, and into D.

    A head or a linear layer to other feature sizes does not fit and stays fresh. All convolutional
    layers have to; DataError where the run has other networks.
    """
    weights = load_state(RunFolder(run).best)["model"]
    _copy(run, "expression.", weights, model.expression)
    _copy(run, "pose.", weights, model.pose)
    if discriminator is not None:
        _copy(run, "expression.", weights, discriminator)


def _copy(run: Path, prefix: str, weights: dict[str, Tensor], network: nn.Module) -> None:
    own = network.state_dict()
    fitting = {
        name: weights[prefix + name]
        for name, tensor in own.items()
        if prefix + name in weights and weights[prefix + name].shape == tensor.shape
    }
    missing = [name for name in own if name.startswith("encoder.layers.") and name not in fitting]
    if missing:
        raise DataError(
            f"--initial {run}: its {prefix.rstrip('.')} network is another one "
            f"({missing[0]} does not fit); give the same --network and --pose-network."
        )
    network.load_state_dict(fitting, strict=False)
