"""MobileFaceNet (Chen et al. 2018): small, made for face recognition; E_id, N, or an encoder."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEATURE_DIM = 512
"""Numbers in f_id, and so in f_pose and f_exp, which are added to it."""

MARGIN = 8
"""Columns of the 112×112 aligned face that the network leaves out, left and right."""

EMBEDDING = "linear1."
"""Prefix of the published network's last layer, 512 to 128, which nothing here uses."""


def normalised(pixels: Tensor) -> Tensor:
    """Pixels in 0…1 as recognition networks want them, -1 to 1."""
    return (pixels * 255 - 127.5) / 128


def bytes_of(normalised: Tensor) -> Tensor:
    """Pixels in 0…255 of what :func:`normalised` gave."""
    return normalised * 128 + 127.5


class _PReLU(torch.autograd.Function):
    """PReLU with a gradient of two fused operations, and none for slopes that are frozen: torch's
    own takes a third of the training time of the whole network on a CPU."""

    @staticmethod
    def forward(context, x: Tensor, slope: Tensor) -> Tensor:
        context.save_for_backward(x, slope)
        return F.prelu(x, slope)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        x, slope = context.saved_tensors
        of_slope = None
        if context.needs_input_grad[1]:
            of_slope = (gradient * x.clamp(max=0)).sum(dim=(0, 2, 3))
        slope = slope.view(1, -1, 1, 1)
        positive = torch.ops.aten.threshold_backward(gradient, x, 0)
        return torch.addcmul(positive * (1 - slope), gradient, slope), of_slope


class PReLU(nn.PReLU):
    """torch's PReLU over (n, channels, height, width), faster to train."""

    def forward(self, x: Tensor) -> Tensor:
        slope = self.weight.to(x.dtype)
        return _PReLU.apply(x, slope) if torch.is_grad_enabled() else F.prelu(x, slope)


class ConvBlock(nn.Module):
    """Convolution, batch norm and, unless `linear`, PReLU."""

    def __init__(
        self, channels_in, channels_out, kernel, stride=1, padding=0, groups=1, linear=False
    ):
        super().__init__()
        self.conv = nn.Conv2d(
            channels_in, channels_out, kernel, stride, padding, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(channels_out)
        self.prelu = nn.Identity() if linear else PReLU(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.bn(self.conv(x)))


class InvertedResidual(nn.Module):
    """Widen, convolve each channel by itself, narrow (Sandler et al. 2018)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, expansion: int):
        super().__init__()
        wide = channels_in * expansion
        self.skip = stride == 1 and channels_in == channels_out
        self.conv = nn.Sequential(
            nn.Conv2d(channels_in, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            PReLU(wide),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            PReLU(wide),
            nn.Conv2d(wide, channels_out, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.skip else self.conv(x)


class MobileFaceNet(nn.Module):
    """MobileFaceNet for faces 112 high and 96 wide, up to its global depthwise convolution.

    Pixels (n, 3, 112, 96), RGB, -1 to 1 → (n, 512).
    """

    BLOCKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
    """Expansion, channels, repeats, stride of the first."""

    def __init__(self):
        super().__init__()
        self.conv1 = ConvBlock(3, 64, 3, 2, 1)
        self.dw_conv1 = ConvBlock(64, 64, 3, 1, 1, groups=64)
        blocks, channels = [], 64
        for expansion, width, repeats, stride in self.BLOCKS:
            for repeat in range(repeats):
                blocks.append(InvertedResidual(channels, width, 1 if repeat else stride, expansion))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = ConvBlock(channels, FEATURE_DIM, 1)
        self.linear7 = ConvBlock(FEATURE_DIM, FEATURE_DIM, (7, 6), groups=FEATURE_DIM, linear=True)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.blocks(self.dw_conv1(self.conv1(pixels)))
        return self.linear7(self.conv2(x)).flatten(1)


BROKEN = (
    AttributeError, EOFError, KeyError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError,
)  # fmt: skip
"""What torch.load, and what follows it, raise for a file that holds something else."""


def read_mobilefacenet(path: Path) -> MobileFaceNet:
    """The network of a state dict, with or without its embedding; ValueError if it is none."""
    network = MobileFaceNet()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        kept = {name: tensor for name, tensor in state.items() if not name.startswith(EMBEDDING)}
        network.load_state_dict(kept)
    except BROKEN as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise ValueError(f"{path} is not a MobileFaceNet state dict: {reason}") from None
    return network
