"""Encoders: aligned faces in, one feature vector a face out. `build_encoder` has them by name."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.errors import UserError
from train.networks.dlib_resnet import FEATURES, MEAN_RGB, WIDTH, DlibResNet
from train.networks.face_input import EncoderSpec
from train.networks.inception import HALVINGS, InceptionLayers
from train.networks.mobilefacenet import FEATURE_DIM, MARGIN, MobileFaceNet, normalised
from train.networks.mobilenet import MEAN_BGR, MobileNet


@dataclass(frozen=True)
class ResNetSpec(EncoderSpec):
    """What distinguishes one residual network (He et al. 2016) of this family from another; its
    channels double at each stage after the first.

    blocks: residual blocks in each of the four stages. stem_stride: stride of the 3×3 stem, which
    a 3×3 max pooling of stride 2 follows.
    """

    blocks: tuple[int, int, int, int]
    stem_stride: int


@dataclass(frozen=True)
class InceptionSpec(EncoderSpec):
    """One of the encoders of TDGAN's Table I."""


@dataclass(frozen=True)
class MobileNetSpec(EncoderSpec):
    """A MobileNet V1; width 32 can start from the weights of a recognition network."""


@dataclass(frozen=True)
class DlibSpec(EncoderSpec):
    """dlib's residual network, which can start from its weights."""


ENCODERS = {
    # The paper's network, for faces of 112 px.
    "resnet18": ResNetSpec(112, 3, 64, (2, 2, 2, 2), stem_stride=2),
    # Half as wide at 56 px: FERPlus holds only 48 px of detail, and two cores can train it.
    "resnet18-half": ResNetSpec(56, 1, 32, (2, 2, 2, 2), stem_stride=1),
    # A tenth of the above; enough for the head pose of an aligned face.
    "resnet10-half": ResNetSpec(56, 1, 32, (1, 1, 1, 1), stem_stride=2),
    # Half as wide again: a third of the training time, for comparing methods without a GPU.
    "resnet18-quarter": ResNetSpec(56, 1, 16, (2, 2, 2, 2), stem_stride=1),
    "resnet10-quarter": ResNetSpec(56, 1, 16, (1, 1, 1, 1), stem_stride=2),
    # Made for phones; can start from the weights of a recognition network (train.runs.initial).
    "mobilefacenet": EncoderSpec(112, 3, 64),
    # Likewise, and its recognition weights may be passed on. Grey as FERPlus is, or in colour.
    "mobilenet": MobileNetSpec(112, 1, 32, detail=56),
    "mobilenet-sharp": MobileNetSpec(112, 1, 32),
    "mobilenet-colour": MobileNetSpec(112, 3, 32),
    "mobilenet-160": MobileNetSpec(160, 1, 32, detail=56),
    "mobilenet-96": MobileNetSpec(96, 1, 32, detail=48, window=(8, 16, 96)),
    "mobilenet-96-sharp": MobileNetSpec(96, 1, 32, window=(8, 16, 96)),
    "mobilenet-half": MobileNetSpec(112, 1, 16, detail=56),
    "dlib-resnet": DlibSpec(112, 1, WIDTH, detail=56),
    # That of TDGAN, with the paper's grey faces and widths; on 56 px as costly as resnet18-half,
    # and half as wide as resnet18-quarter.
    "inception": InceptionSpec(112, 1, 32),
    "inception-56": InceptionSpec(56, 1, 32),
    "inception-56-half": InceptionSpec(56, 1, 16),
}


class ResidualBlock(nn.Module):
    """The basic block of ResNet-18: two 3×3 convolutions and a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


class ResNet(nn.Module):
    """A residual network over pixels in 0…1; float (n, channels, size, size) → (n, feature_dim).

    A `feature_dim` other than the network's own, 8·width, is reached through a linear layer.
    map_shape: channels and side of what :meth:`maps` gives.
    """

    MEAN, DEVIATION = 0.5, 0.25

    def __init__(self, spec: ResNetSpec, feature_dim: int | None = None):
        super().__init__()
        self.spec = spec
        own = spec.width * 8
        self.feature_dim = feature_dim or own
        self.map_shape = own, halved(spec.size, 4 + spec.stem_stride // 2)
        layers = [
            nn.Conv2d(spec.channels, spec.width, 3, spec.stem_stride, 1, bias=False),
            nn.BatchNorm2d(spec.width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        ]
        channels = spec.width
        for stage, count in enumerate(spec.blocks):
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(ResidualBlock(channels, spec.width << stage, stride))
                channels = spec.width << stage
        self.layers = nn.Sequential(*layers)
        self.project = (
            nn.Identity() if self.feature_dim == own else nn.Linear(own, self.feature_dim)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        return self.project(self.maps(pixels).mean(dim=(2, 3)))

    def maps(self, pixels: Tensor) -> Tensor:
        """What the feature is the mean of: (n, 8·width, side, side)."""
        return self.layers((pixels - self.MEAN) / self.DEVIATION)


class MobileFaceNetEncoder(nn.Module):
    """A MobileFaceNet over pixels in 0…1; float (n, 3, 112, 112) → (n, feature_dim).

    A `feature_dim` other than its own 512 is reached through a linear layer.
    """

    def __init__(self, spec: EncoderSpec, feature_dim: int | None = None):
        super().__init__()
        self.spec = spec
        self.feature_dim = feature_dim or FEATURE_DIM
        self.layers = MobileFaceNet()
        own = self.feature_dim == FEATURE_DIM
        self.project = nn.Identity() if own else nn.Linear(FEATURE_DIM, self.feature_dim)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.project(self.layers(normalised(pixels[:, :, :, MARGIN:-MARGIN])))


class InceptionEncoder(nn.Module):
    """An encoder of TDGAN over pixels in 0…1; float (n, channels, size, size) → (n, feature_dim).

    Its own feature are all numbers of its maps, as Table I has it: their mean would be much the
    same for all faces, since each map is normalised. Another `feature_dim` is reached through a
    linear layer. map_shape: channels and side of what :meth:`maps` gives.
    """

    def __init__(self, spec: InceptionSpec, feature_dim: int | None = None):
        super().__init__()
        self.spec = spec
        self.map_shape = 4 * spec.width, halved(spec.size, HALVINGS)
        own = self.map_shape[0] * self.map_shape[1] ** 2
        self.feature_dim = feature_dim or own
        self.layers = InceptionLayers(spec.channels, spec.width)
        self.project = (
            nn.Identity() if self.feature_dim == own else nn.Linear(own, self.feature_dim)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        return self.project(self.maps(pixels).flatten(1))

    def maps(self, pixels: Tensor) -> Tensor:
        """(n, 4·width, side, side)."""
        return self.layers(pixels)


class MobileNetEncoder(nn.Module):
    """A MobileNet V1 over pixels in 0…1; float (n, 1 or 3, size, size), grey or RGB →
    (n, feature_dim). A `feature_dim` other than its own 32·width is reached through a linear layer.
    """

    mean: Tensor

    def __init__(self, spec: MobileNetSpec, feature_dim: int | None = None):
        super().__init__()
        self.spec = spec
        own = spec.width * 32
        self.feature_dim = feature_dim or own
        self.layers = MobileNet(spec.width)
        self.project = (
            nn.Identity() if self.feature_dim == own else nn.Linear(own, self.feature_dim)
        )
        mean = torch.tensor(MEAN_BGR).view(1, 3, 1, 1)
        self.register_buffer("mean", mean, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.project(self.maps(pixels).mean(dim=(2, 3)))

    def maps(self, pixels: Tensor) -> Tensor:
        """What the feature is the mean of: (n, 32·width, side, side)."""
        # RGB to BGR; grey has no order.
        return self.layers(pixels.flip(1) * 255 - self.mean)


class DlibEncoder(nn.Module):
    """dlib's network over pixels in 0…1, at the size of aligned faces, which is three quarters of
    what it was made for; float (n, 1 or 3, size, size), grey or RGB → (n, feature_dim). A
    `feature_dim` other than its own 256 is reached through a linear layer."""

    mean: Tensor

    def __init__(self, spec: DlibSpec, feature_dim: int | None = None):
        super().__init__()
        self.spec = spec
        self.feature_dim = feature_dim or FEATURES
        self.layers = DlibResNet()
        own = self.feature_dim == FEATURES
        self.project = nn.Identity() if own else nn.Linear(FEATURES, self.feature_dim)
        mean = torch.tensor(MEAN_RGB).view(1, 3, 1, 1)
        self.register_buffer("mean", mean, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.project(self.layers((pixels * 255 - self.mean) / 256).mean(dim=(2, 3)))


NETWORKS = {
    ResNetSpec: ResNet,
    MobileNetSpec: MobileNetEncoder,
    InceptionSpec: InceptionEncoder,
    DlibSpec: DlibEncoder,
    EncoderSpec: MobileFaceNetEncoder,
}

Encoder = ResNet | MobileNetEncoder | DlibEncoder | MobileFaceNetEncoder | InceptionEncoder


def halved(side: int, times: int) -> int:
    """A side after so many layers of stride 2, each of which rounds up."""
    return -(-side // 2**times)


class UnknownNetwork(UserError, ValueError):
    """A name that is none of ENCODERS."""


def build_encoder(name: str, feature_dim: int | None = None) -> Encoder:
    """The encoder of that name with fresh weights; UnknownNetwork lists the names there are.

    feature_dim: how many numbers a face becomes; the network's own count by default.
    """
    if name not in ENCODERS:
        raise UnknownNetwork(f"There is no network {name!r}; choose from {', '.join(ENCODERS)}.")
    spec = ENCODERS[name]
    return NETWORKS[type(spec)](spec, feature_dim)


def common_input(network: str, pose_network: str) -> EncoderSpec:
    """The spec of `network`; UserError unless both look at faces of one size and colour."""
    spec, pose_spec = (ENCODERS.get(name) for name in (network, pose_network))
    if not spec or not pose_spec:
        raise UserError(f"The networks are {', '.join(ENCODERS)}; not {network}, {pose_network}.")
    if (spec.size, spec.channels) != (pose_spec.size, pose_spec.channels):
        raise UserError(f"{network} and {pose_network} do not look at the same picture of a face.")
    return spec
