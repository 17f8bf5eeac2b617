"""The residual network that dlib recognises faces with (King 2017; public domain, CC0); an encoder
that may start from those weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

MEAN_RGB = (122.782, 117.001, 104.298)
"""What is taken off the pixels, 0 to 255, of each colour, before they are divided by 256."""

BLOCKS = (32, 32, 32, -64, 64, 64, 64, -128, 128, 128, -256, 256, 256, -256)
"""Channels of each residual block; negative where it halves the sides."""

WIDTH = 32
FEATURES = 256
DESCRIPTOR = 128

CHIP = (6, 21, 100)
"""Left, top and side of the square of an aligned face that the network was made for; its last rows
lie below what is there."""
CHIP_SIDE = 150


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut. A block that halves the sides pads its first convolution
    with nothing and averages 2×2 in the shortcut; where channels or sides differ, the smaller is
    filled up with zeros at the end."""

    def __init__(self, channels_in: int, channels: int, halves: bool):
        super().__init__()
        self.halves = halves
        stride, padding = (2, 0) if halves else (1, 1)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        made = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        x = F.avg_pool2d(x, 2) if self.halves else x
        shape = [max(pair) for pair in zip(made.shape[1:], x.shape[1:], strict=True)]
        return F.relu(_filled(made, shape) + _filled(x, shape))


def _filled(maps: Tensor, shape: list[int]) -> Tensor:
    channels, rows, columns = (
        wanted - own for wanted, own in zip(shape, maps.shape[1:], strict=True)
    )
    if not (channels or rows or columns):
        return maps
    return F.pad(maps, (0, columns, 0, rows, 0, channels))


class DlibResNet(nn.Module):
    """Pixels of any side, RGB, (0 to 255 − :data:`MEAN_RGB`) / 256: float (n, 3, side, side) → maps
    (n, 256, …), whose mean is the feature; `embedding` makes the descriptor of it."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTH, 7, 2)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        blocks, channels = [], WIDTH
        for wide in BLOCKS:
            blocks.append(Block(channels, abs(wide), wide < 0))
            channels = abs(wide)
        self.blocks = nn.Sequential(*blocks)

    def forward(self, pixels: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(pixels)))
        return self.blocks(F.max_pool2d(x, 3, 2))

    def pairs(self) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """Convolutions and what follows each, input first, as the published file has them."""
        yield self.conv1, self.bn1
        for block in self.blocks:
            assert isinstance(block, Block)
            yield block.conv1, block.bn1
            yield block.conv2, block.bn2


def read_dlib_resnet(path: Path) -> tuple[DlibResNet, Tensor]:
    """The network of dlib's .dat file, and the matrix (256, 128) that makes the descriptor of its
    feature; ValueError if it is none. As with MobileNet, its running statistics are 0 and 1 until
    train.networks.mobilenet.open_normalisation has seen faces."""
    network = DlibResNet()
    pairs = list(network.pairs())
    sizes = [
        size
        for conv, bn in pairs
        for size in (conv.weight.numel() + conv.out_channels, 2 * bn.num_features)
    ]
    try:
        *layers, matrix = _tensors(path.read_bytes(), [*sizes, FEATURES * DESCRIPTOR])
    except ValueError as error:
        raise ValueError(f"{path} is not dlib's face recognition network: {error}") from None
    with torch.no_grad():
        for (conv, bn), filters, affine in zip(pairs, layers[::2], layers[1::2], strict=True):
            assert conv.bias is not None, "dlib's convolutions have one"
            weight, bias = filters.split([conv.weight.numel(), conv.out_channels])
            conv.weight.copy_(weight.view_as(conv.weight))
            conv.bias.copy_(bias)
            scale, shift = affine.chunk(2)
            bn.weight.copy_(scale * (1 + bn.eps) ** 0.5)
            bn.bias.copy_(shift)
    return network.eval(), matrix.view(FEATURES, DESCRIPTOR)


MARK = b"\x01\x02"
"""With which a tensor begins: the version of its form, in dlib's coding of integers."""


def _tensors(file: bytes, sizes: list[int]) -> list[Tensor]:
    """The tensors of a .dat, input first, float32, each flat, of which the sizes are known: a mark,
    four integers (samples, k, rows, columns) and that many numbers. What else is in the file, such
    as learning rates, is passed over; ValueError where one is missing."""
    found: list[Tensor] = []
    at = 0
    for size in sizes:
        while (at := file.find(MARK, at)) >= 0:
            start = _numbers_start(file, at + len(MARK), size)
            if start:
                break
            at += 1
        else:
            raise ValueError(f"{len(found)} of its {len(sizes)} tensors are there")
        found.append(torch.from_numpy(np.frombuffer(file, "<f4", size, start).copy()))
        at = start + 4 * size
    return found


def _numbers_start(file: bytes, at: int, size: int) -> int | None:
    """Where the numbers of a tensor begin whose four integers are at `at`; None where these are no
    integers whose product is `size`, or the file ends before that many numbers."""
    product = 1
    for _ in range(4):
        length = file[at] if at < len(file) else 0
        if not 1 <= length <= 4:
            return None
        product *= int.from_bytes(file[at + 1 : at + 1 + length], "little")
        at += 1 + length
    return at if product == size and at + 4 * size <= len(file) else None
