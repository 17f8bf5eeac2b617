"""The networks of joint pose and expression modelling (Zhang et al. 2018, section 4.2).

The paper builds them after CAAE (Zhang, Song and Qi 2017) and leaves the sizes to a supplement;
layers and channels of G_enc, D_att and D_i are CAAE's, G_dec is the decoder of IPD-FER.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.networks.decoder import Decoder
from train.pose import YAW_BIN_EDGES, yaw_bin

STAGES = 4
"""Convolutions of stride 2 in G_enc and D_att."""

WEIGHT_DEVIATION = 0.02
"""Standard deviation of all weights at first, as the paper has it."""


class AttributeCodes:
    """The codes e and p side by side: one-hot expression, one-hot pose.

    signed: poses are the five classes of |yaw|, to either side (nine; the first is the one that
    turns furthest to the image's left). Without, the five classes of |yaw|.
    """

    def __init__(self, classes: tuple[str, ...], signed: bool):
        self.expressions, self.signed = classes, signed
        self.farthest = len(YAW_BIN_EDGES)
        self.poses = self.farthest * (1 + signed) + 1
        self.length = len(classes) + self.poses

    def pose_class(self, yaw: Tensor) -> Tensor:
        """The pose class (int64, 0 to `poses` − 1) of each yaw (n,) in degrees."""
        if not self.signed:
            return yaw_bin(yaw)
        return self.farthest + torch.where(yaw < 0, -1, 1) * yaw_bin(yaw)

    def pose_titles(self) -> list[str]:
        """What each pose class shows: a range of yaw in degrees."""
        edges = [0.0, *YAW_BIN_EDGES]
        unsigned = [f"{low:.0f}–{high:.0f}°" for low, high in pairwise(edges)]
        unsigned.append(f"> {edges[-1]:.0f}°")
        return [f"−({title})" for title in unsigned[:0:-1]] * self.signed + unsigned

    def __call__(self, expression: Tensor, pose: Tensor, known: Tensor | None = None) -> Tensor:
        """Codes, float32 (n, length), of classes (int64, n each); a pose that is not `known`
        (bool, n) has a pose code of zeros."""
        e = F.one_hot(expression, len(self.expressions)).float()
        p = F.one_hot(pose, self.poses).float()
        return torch.cat([e, p if known is None else p * known[:, None]], dim=1)

    def every(self) -> Tensor:
        """All codes (poses·expressions, length), pose by pose."""
        poses, expressions = torch.arange(self.poses), torch.arange(len(self.expressions))
        pose, expression = torch.cartesian_prod(poses, expressions).unbind(dim=1)
        return self(expression, pose)

    def drawn(self, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Codes (count, length) of any expression under any pose, all equally likely, and their
        expressions as distributions (count, classes)."""
        expression = torch.randint(len(self.expressions), (count,), device=device)
        code = self(expression, torch.randint(self.poses, (count,), device=device))
        return code, code[:, : len(self.expressions)]


class IdentityEncoder(nn.Module):
    """G_enc: pixels (n, channels, size, size), 0 to 1 → f(x), float (n, identity_dim), −1 to 1.

    Four 5×5 convolutions of stride 2, whose channels double from `width` on, and a linear layer.
    Without batch normalisation, as the paper says.
    """

    def __init__(self, identity_dim: int, channels: int, size: int, width: int):
        super().__init__()
        layers, depth, side = [], channels, size
        for stage in range(STAGES):
            layers += [nn.Conv2d(depth, width << stage, 5, 2, 2), nn.ReLU(inplace=True)]
            depth, side = width << stage, (side + 1) // 2
        self.maps = nn.Sequential(*layers)
        self.identity = nn.Linear(depth * side * side, identity_dim)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.identity(self.maps(_signed(pixels)).flatten(1)).tanh()


class CodedDecoder(Decoder):
    """G_dec: the face of f (n, identity_dim) with the expression and pose of codes (n, codes)."""

    def forward(self, f: Tensor, codes: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(torch.cat([f, codes.to(f.dtype)], dim=1))


class Generator(nn.Module):
    """G: pixels (n, channels, size, size), 0 to 1, and codes (n, codes) → pixels alike, and f(x).

    width: channels of the first stage of G_enc, and what Decoder calls so.
    """

    def __init__(self, identity_dim: int, codes: int, channels: int, size: int, width: int):
        super().__init__()
        self.G_enc = IdentityEncoder(identity_dim, channels, size, width)
        self.G_dec = CodedDecoder(identity_dim + codes, channels, size, width)
        self.apply(_initialise)

    def forward(self, pixels: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        f = self.G_enc(pixels)
        return self.G_dec(f, codes), f


class AttributeDiscriminator(nn.Module):
    """D_att: pixels (n, channels, size, size), 0 to 1, and codes (n, codes) → logits (n,) of
    "this is a real face with this expression and pose".

    Four 5×5 convolutions of stride 2 with 16 to 128 channels, batch norm after each; the codes
    join after the first as constant planes; a layer of 1024, and the logit.
    """

    WIDTH, HIDDEN = 16, 1024

    def __init__(self, codes: int, channels: int, size: int):
        super().__init__()
        self.first = _normed(channels, self.WIDTH)
        layers, depth, side = [], self.WIDTH + codes, (size + 1) // 2
        for stage in range(1, STAGES):
            layers.append(_normed(depth, self.WIDTH << stage))
            depth, side = self.WIDTH << stage, (side + 1) // 2
        self.rest = nn.Sequential(*layers)
        self.hidden = nn.Linear(depth * side * side, self.HIDDEN)
        self.real = nn.Linear(self.HIDDEN, 1)
        self.apply(_initialise)

    def forward(self, pixels: Tensor, codes: Tensor) -> Tensor:
        maps = self.first(_signed(pixels))
        planes = codes.to(maps.dtype)[:, :, None, None].expand(-1, -1, *maps.shape[2:])
        maps = self.rest(torch.cat([maps, planes], dim=1))
        return self.real(F.leaky_relu(self.hidden(maps.flatten(1)), 0.2))[:, 0]


class IdentityDiscriminator(nn.Sequential):
    """D_i: identity representations (n, identity_dim) → logits (n, 1) of "this is a sample of the
    prior". Layers of 64, 32 and 16 with batch norm."""

    SIZES = (64, 32, 16)

    def __init__(self, identity_dim: int):
        layers, depth = [], identity_dim
        for size in self.SIZES:
            layers += [nn.Linear(depth, size), nn.BatchNorm1d(size), nn.ReLU(inplace=True)]
            depth = size
        super().__init__(*layers, nn.Linear(depth, 1))
        self.apply(_initialise)


def _signed(pixels: Tensor) -> Tensor:
    """Pixels from 0…1 to −1…1."""
    return pixels * 2 - 1


def _normed(channels_in: int, channels_out: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 5, 2, 2, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(layer.weight, std=WEIGHT_DEVIATION)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
