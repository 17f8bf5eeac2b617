"""G_dec: a feature vector in, a face out (IPD-FER, section 4.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

SIDES = {112: (7, 14, 28, 56, 112), 56: (7, 7, 14, 28, 56)}
"""Side of the picture after each of the five stages. The paper's 112 = 7·2⁴: from 1×1 to 7×7, then
four doublings. 56 px need one doubling less; the second stage keeps 7×7, where it costs least."""


Upsampling = Literal["transposed", "resized"]

Norm = Callable[[int], nn.Module]


def instance_norm(channels: int) -> nn.Module:
    """No face of a batch changes another."""
    return nn.InstanceNorm2d(channels, affine=True)


class DecoderBlock(nn.Module):
    """ResNet's basic block."""

    def __init__(self, channels: int, norm: Norm):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            norm(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


def transposed(channels_in: int, channels_out: int, side_in: int, side_out: int) -> nn.Module:
    """The transposed convolution that takes a picture from one side to the other."""
    if side_in == 1:
        kernel, stride, padding = side_out, 1, 0
    elif side_out == 2 * side_in:
        kernel, stride, padding = 4, 2, 1
    else:
        kernel, stride, padding = 3, 1, 1
    return nn.ConvTranspose2d(channels_in, channels_out, kernel, stride, padding, bias=False)


def resized(channels_in: int, channels_out: int, side_in: int, side_out: int) -> nn.Module:
    """The same step by bilinear enlarging before a convolution, the first one apart."""
    if side_out != 2 * side_in:
        return transposed(channels_in, channels_out, side_in, side_out)
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        nn.Conv2d(channels_in, channels_out, 3, 1, 1, bias=False),
    )


class Decoder(nn.Module):
    """G_dec: float (n, feature_dim) → pixels (n, channels, size, size), 0 to 1.

    Five stages of transposed convolution, instance norm, ReLU and residual block, as the paper has
    them. Where it is silent: channels halve from stage to stage, from 8·width to width/2, and a
    3×3 convolution with a sigmoid makes the pixels.

    size: 112 or 56; ValueError for any other. width: as in EncoderSpec. upsampling: "resized", not
    of the paper, enlarges bilinearly and convolves, with batch norm. It learns in half the steps
    and makes neither the checkerboards of transposed convolutions nor the droplets of instance
    norm, which takes from each face how bright and how strong in contrast it is.
    """

    def __init__(
        self,
        feature_dim: int,
        channels: int,
        size: int,
        width: int,
        upsampling: Upsampling = "transposed",
    ):
        super().__init__()
        paper = upsampling == "transposed"
        enlarge, norm = (transposed, instance_norm) if paper else (resized, nn.BatchNorm2d)
        if size not in SIDES:
            raise ValueError(f"G_dec makes faces of {', '.join(map(str, SIDES))} px, not {size}.")
        layers, depth, side = [], feature_dim, 1
        for stage, next_side in enumerate(SIDES[size]):
            next_depth = width * 8 >> stage
            layers += [
                enlarge(depth, next_depth, side, next_side),
                norm(next_depth),
                nn.ReLU(inplace=True),
                DecoderBlock(next_depth, norm),
            ]
            depth, side = next_depth, next_side
        self.stages = nn.Sequential(*layers)
        self.pixels = nn.Conv2d(depth, channels, 3, 1, 1)

    def forward(self, feature: Tensor) -> Tensor:
        return self.pixels(self.stages(feature[:, :, None, None])).sigmoid()
