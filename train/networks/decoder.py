"""G_dec: a feature vector in, a face out (IPD-FER, section 4.2)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

SIDES = {112: (7, 14, 28, 56, 112), 56: (7, 7, 14, 28, 56)}
"""Side of the picture after each of the five stages. The paper's 112 = 7·2⁴: from 1×1 to 7×7, then
four doublings. 56 px need one doubling less; the second stage keeps 7×7, where it costs least."""


class DecoderBlock(nn.Module):
    """ResNet's basic block with instance norm, so that no face of a batch changes another."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.InstanceNorm2d(channels, affine=True),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.InstanceNorm2d(channels, affine=True),
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


class Decoder(nn.Module):
    """G_dec: float (n, feature_dim) → pixels (n, channels, size, size), 0 to 1.

    Five stages of transposed convolution, instance norm, ReLU and residual block, as the paper has
    them. Where it is silent: channels halve from stage to stage, from 8·width to width/2, and a
    3×3 convolution with a sigmoid makes the pixels.

    size: 112 or 56; ValueError for any other. width: as in EncoderSpec.
    """

    def __init__(self, feature_dim: int, channels: int, size: int, width: int):
        super().__init__()
        if size not in SIDES:
            raise ValueError(f"G_dec makes faces of {', '.join(map(str, SIDES))} px, not {size}.")
        layers, depth, side = [], feature_dim, 1
        for stage, next_side in enumerate(SIDES[size]):
            next_depth = width * 8 >> stage
            layers += [
                transposed(depth, next_depth, side, next_side),
                nn.InstanceNorm2d(next_depth, affine=True),
                nn.ReLU(inplace=True),
                DecoderBlock(next_depth),
            ]
            depth, side = next_depth, next_side
        self.stages = nn.Sequential(*layers)
        self.pixels = nn.Conv2d(depth, channels, 3, 1, 1)

    def forward(self, feature: Tensor) -> Tensor:
        return self.pixels(self.stages(feature[:, :, None, None])).sigmoid()
