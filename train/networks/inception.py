"""The convolutions of TDGAN's encoders (Xie, Hu and Chen 2021, Table I): inception blocks with
instance norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn

BLOCKS = 4
"""Inception blocks in an encoder."""

HALVINGS = 4
"""Max poolings of stride 2 in an encoder."""

SHARE = 0.17
"""By how much an inception block changes what it is given; that of Inception-ResNet (Szegedy et
al. 2017), whose smallest block Figure 4 shows."""

INCEPTION = {
    "resnet18": "inception",
    "resnet18-half": "inception-56",
    "resnet18-quarter": "inception-56-half",
}
"""The encoder of TDGAN's Table I that costs as much as a residual one, whose batch normalisation
lets G make the same picture of all faces."""


class ConvBlock(nn.Sequential):
    """Convolution of stride 1, instance norm, ReLU: the side stays what it is."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int):
        super().__init__(
            nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False),
            nn.InstanceNorm2d(channels_out, affine=True),
            nn.ReLU(inplace=True),
        )


class MaxPool(nn.MaxPool2d):
    """Halves the side. Instance norm leaves its result in another layout than convolutions do, in
    which pooling takes a CPU five times as long."""

    def __init__(self):
        super().__init__(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.contiguous(memory_format=torch.channels_last))


class InceptionBlock(nn.Module):
    """Figure 4: one, two and three convolutions side by side (the latter see 3×3 and 5×5 pixels),
    a quarter of the channels each, joined by a 1×1 convolution and added to the input."""

    def __init__(self, channels: int):
        super().__init__()
        quarter = channels // 4
        self.branches = nn.ModuleList(
            nn.Sequential(
                ConvBlock(channels, quarter, 1),
                *(ConvBlock(quarter, quarter, 3) for _ in range(depth)),
            )
            for depth in range(3)
        )
        self.join = nn.Conv2d(3 * quarter, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        found = self.join(torch.cat([branch(x) for branch in self.branches], dim=1))
        return torch.relu(x + SHARE * found)


class InceptionLayers(nn.Sequential):
    """Table I up to its fc-layers: float (n, channels, size, size) → (n, 4·width, side, side), side
    a sixteenth of size.

    width: channels of the first convolution, 32 in the paper. A side that is odd is rounded up
    when it is halved.
    """

    def __init__(self, channels: int, width: int):
        super().__init__(
            *_down(channels, width),
            *_down(width, 2 * width),
            *(InceptionBlock(2 * width) for _ in range(BLOCKS)),
            *_down(2 * width, 4 * width),
            *_down(4 * width, 4 * width),
        )


def _down(channels_in: int, channels_out: int) -> tuple[nn.Module, nn.Module]:
    return ConvBlock(channels_in, channels_out, 5), MaxPool()
