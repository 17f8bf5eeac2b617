"""E_id and N: a frozen face recognition network (IPD-FER, sections 3.1 and 4.2).

The same network serves as both. It is a tool of training: nothing of it is kept for inference.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from train.errors import UserError
from train.networks.facenet import FACENET, load_facenet
from train.networks.licensed_identity import LICENSED, load_licensed
from train.networks.mobilefacenet import FEATURE_DIM, MARGIN, normalised, read_mobilefacenet

CPU_PIECE = 16
"""Faces at a time on a CPU. More do not fit its caches: 128 at once take twice as long."""


class Identity(nn.Module):
    """A frozen recognition network on aligned faces: pixels (n, 1 or 3, side, side), 0 to 1, of
    any side, RGB or grey → (n, 512). Gradients pass through it to the pixels, never to its weights.

    fingerprint: SHA-256 of its weights.
    """

    def __init__(self, network: nn.Module, side: int, margin: int, scale: float = 1.0):
        """side: pixels of the square face the network knows; margin: columns it leaves out left
        and right; scale: what its features are multiplied by."""
        super().__init__()
        self.network, self.side, self.margin, self.scale = network, side, margin, scale
        self.fingerprint = _fingerprint(network)
        self.requires_grad_(False).eval()
        _fold(network)
        self.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> Identity:
        """Stays in evaluation mode: its statistics are part of what is frozen."""
        return super().train(False)

    def forward(self, pixels: Tensor) -> Tensor:
        pieces = pixels.split(CPU_PIECE if pixels.device.type == "cpu" else len(pixels))
        return torch.cat([self._features(piece) for piece in pieces])

    def _features(self, pixels: Tensor) -> Tensor:
        if pixels.shape[2] != self.side:
            pixels = F.interpolate(pixels, size=self.side, mode="bilinear", align_corners=False)
        pixels = pixels[:, :, :, self.margin : self.side - self.margin]
        return self.network(normalised(pixels).expand(-1, 3, -1, -1)) * self.scale


def load_identity(spec: str, option: str = "--identity") -> Identity:
    """E_id by what an option says; UserError where it cannot be had.

    spec: a file with the state dict of a :class:`MobileFaceNet`; ``mobilenet-vggface2`` or
    ``dlib``, looked for in data/identity; or ``facenet-casia`` or ``facenet-vggface2`` for the
    InceptionResnetV1 of facenet-pytorch, which fetches its weights from the network the first time.
    """
    if spec in LICENSED:
        return Identity(load_licensed(spec), side=112, margin=0, scale=FEATURE_DIM**0.5)
    if spec not in FACENET:
        return _load_mobilefacenet(Path(spec), option)
    # Its features have length 1: this makes them as large as those they are added to.
    return Identity(load_facenet(spec), side=160, margin=0, scale=FEATURE_DIM**0.5)


def _load_mobilefacenet(path: Path, option: str) -> Identity:
    if not path.is_file():
        raise UserError(
            f"{option} {path}: there is no such file; give a MobileFaceNet state dict, "
            f"{' or '.join([*LICENSED, *FACENET])}."
        )
    try:
        network = read_mobilefacenet(path)
    except ValueError as error:
        raise UserError(f"{option} {error}") from None
    return Identity(network, side=112, margin=MARGIN)


def _fold(network: nn.Module) -> None:
    """Put batch norms into the convolutions before them: the same function, and gradients through
    it in less time."""
    for module in list(network.modules()):
        previous: tuple[str, nn.Module | None] = ("", None)
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d) and isinstance(previous[1], nn.Conv2d):
                setattr(module, previous[0], fuse_conv_bn_eval(previous[1], child))
                setattr(module, name, nn.Identity())
            previous = (name, child)
    network.requires_grad_(False)


def _fingerprint(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
