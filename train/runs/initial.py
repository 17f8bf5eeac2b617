"""Starts networks from the weights of an earlier run, or of a recognition network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from train.errors import UserError
from train.networks.dlib_resnet import read_dlib_resnet
from train.networks.encoders import DlibEncoder, MobileFaceNetEncoder, MobileNetEncoder
from train.networks.face_model import ExpressionBranch, FaceModel
from train.networks.mobilefacenet import read_mobilefacenet
from train.networks.mobilenet import open_normalisation, read_mobilenet
from train.networks.recognition_weights import RECOGNITION_WEIGHTS, recognition_file
from train.runs.checkpoint import fitting, load_state
from train.runs.folder import RunFolder
from train.runs.model_file import start_from_file, started_from

READERS: dict[str, tuple[str, type, Callable[[Path], nn.Module]]] = {
    ".safetensors": ("mobilenet", MobileNetEncoder, read_mobilenet),
    ".dat": ("dlib-resnet", DlibEncoder, lambda path: read_dlib_resnet(path)[0]),
}
"""By the suffix of a file of recognition weights that may be passed on: the --network that starts
from it, its encoder, and what reads the file."""


def start_from(
    initial: Path,
    model: FaceModel,
    discriminator: ExpressionBranch | None = None,
    faces: Tensor | None = None,
) -> None:
    """Copy what fits of `initial` into E_exp, E_pose and their heads, and into D.

    initial: a run, whose best epoch counts: a head or a linear layer to other feature sizes does
    not fit and stays fresh, all convolutional layers have to; UserError where the run has other
    networks. Or recognition weights: the state dict of a MobileFaceNet, for the encoders that are
    one, or the name or file of weights that train.networks.recognition_weights lists. Or a model
    file as `export face` writes it, of the same networks; D then starts fresh.

    faces: training faces, uint8 (n, 112, 112, channels), of which a start takes statistics where
    the weights come without.
    """
    initial = recognition_file(initial)
    branches: list[tuple[str, Any]] = [
        ("expression.", model.expression),
        ("pose.", model.pose),
    ]
    if discriminator is not None:
        branches.append(("expression.", discriminator))
    if initial.suffix == ".onnx":
        start_from_file(initial, model, faces)
        return
    if initial.is_file():
        if initial.suffix in READERS:
            _start_from_licensed(initial, model, faces)
            return
        _start_from_recognition(initial, [branch.encoder for _, branch in branches])
        return
    path = RunFolder(initial).best
    state = load_state(path)
    with fitting(path):
        weights = state["model"]
    for prefix, branch in branches:
        _copy(initial, prefix, weights, branch)


def recognition_start(initial: Path | None) -> str | None:
    """Name of the recognition network's file that `initial`, or the run it started from, started
    from; None where there was none. Such weights are not ours to publish, see train.export.face."""
    if initial is None:
        return None
    initial = recognition_file(initial)
    if initial.suffix == ".onnx":
        return started_from(initial)
    return initial.name if initial.is_file() else RunFolder(initial).config().get("started_from")


def licence_of_start(started_from: str | None) -> str | None:
    """The licence under which weights that started from that file may be passed on; None where they
    may not, and "" where they started from nothing."""
    if started_from is None:
        return ""
    known = {weights.file: weights for weights in RECOGNITION_WEIGHTS.values()}
    return known[started_from].licence if started_from in known else None


def _start_from_licensed(path: Path, model: FaceModel, faces: Tensor | None) -> None:
    name, wanted, read = READERS[path.suffix]
    encoder = model.expression.encoder
    if not isinstance(encoder, wanted):
        raise UserError(f"--initial {path}: these recognition weights need --network {name}.")
    try:
        state = read(path).state_dict()
    except ValueError as error:
        raise UserError(f"--initial {error}") from None
    try:
        encoder.layers.load_state_dict(state)
    except RuntimeError:
        raise UserError(
            f"--initial {path} does not fit a network of another width: give --network {name}."
        ) from None
    if faces is not None:
        open_normalisation(encoder, model.expression_input(faces))


def _start_from_recognition(path: Path, encoders: list[nn.Module]) -> None:
    fitting = [encoder for encoder in encoders if isinstance(encoder, MobileFaceNetEncoder)]
    if not fitting:
        raise UserError(
            f"--initial {path}: a file of recognition weights needs --network mobilefacenet."
        )
    try:
        state = read_mobilefacenet(path).state_dict()
    except ValueError as error:
        raise UserError(f"--initial {error}") from None
    for encoder in fitting:
        encoder.layers.load_state_dict(state)


def _copy(run: Path, prefix: str, weights: dict[str, Tensor], network: nn.Module) -> None:
    own = network.state_dict()
    fitting = {
        name: weights[prefix + name]
        for name, tensor in own.items()
        if prefix + name in weights and weights[prefix + name].shape == tensor.shape
    }
    missing = [name for name in own if name.startswith("encoder.layers.") and name not in fitting]
    if missing:
        raise UserError(
            f"--initial {run}: its {prefix.rstrip('.')} network is another one "
            f"({missing[0]} does not fit); give the same --network and --pose-network."
        )
    network.load_state_dict(fitting, strict=False)
