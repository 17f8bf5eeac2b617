"""The recognition networks whose licence lets weights be passed on, as a frozen E_id calls them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.errors import UserError
from train.networks.dlib_resnet import CHIP, CHIP_SIDE, MEAN_RGB, read_dlib_resnet
from train.networks.mobilefacenet import FEATURE_DIM, bytes_of
from train.networks.mobilenet import MEAN_BGR, read_mobilenet
from train.networks.recognition_weights import recognition_file


class MobileNetFeatures(nn.Module):
    """The feature of MobileNet V1, made 512 numbers of length 1: normalised pixels (n, 3, side,
    side), RGB → (n, 512)."""

    mean: Tensor
    directions: Tensor

    def __init__(self, path: Path):
        super().__init__()
        self.layers = read_mobilenet(path)
        self.register_buffer("mean", torch.tensor(MEAN_BGR).view(1, 3, 1, 1))
        self.register_buffer("directions", _directions(1024))

    def forward(self, normalised: Tensor) -> Tensor:
        feature = self.layers(bytes_of(normalised).flip(1) - self.mean).mean(dim=(2, 3))
        return F.normalize(feature @ self.directions)


class DlibFeatures(nn.Module):
    """dlib's descriptor, made 512 numbers of length 1: normalised aligned faces (n, 3, 112, 112),
    RGB → (n, 512). Angles between descriptors stay what they are."""

    mean: Tensor
    directions: Tensor

    def __init__(self, path: Path):
        super().__init__()
        self.layers, matrix = read_dlib_resnet(path)
        self.register_buffer("mean", torch.tensor(MEAN_RGB).view(1, 3, 1, 1))
        self.register_buffer("directions", matrix @ _directions(matrix.shape[1]))

    def forward(self, normalised: Tensor) -> Tensor:
        left, top, side = CHIP
        below = max(top + side - normalised.shape[2], 0)
        whole = F.pad(normalised, (0, 0, 0, below), mode="replicate")
        chip = whole[:, :, top : top + side, left : left + side]
        chip = F.interpolate(chip, size=CHIP_SIDE, mode="bilinear", align_corners=False)
        maps = self.layers((bytes_of(chip) - self.mean) / 256)
        return F.normalize(maps.mean(dim=(2, 3)) @ self.directions)


def _directions(numbers: int) -> Tensor:
    """(numbers, 512): orthonormal, drawn at random, always the same."""
    longer, shorter = max(numbers, FEATURE_DIM), min(numbers, FEATURE_DIM)
    drawn = torch.randn(longer, shorter, generator=torch.Generator().manual_seed(0))
    orthonormal = torch.linalg.qr(drawn).Q
    return orthonormal if numbers >= FEATURE_DIM else orthonormal.T


LICENSED = {"mobilenet-vggface2": MobileNetFeatures, "dlib": DlibFeatures}
"""By the names of train.networks.recognition_weights."""


def load_licensed(name: str) -> nn.Module:
    """One of them; UserError where its file is not there or is another one."""
    path = recognition_file(Path(name))
    try:
        return LICENSED[name](path)
    except ValueError as error:
        raise UserError(f"--identity {error}") from None
