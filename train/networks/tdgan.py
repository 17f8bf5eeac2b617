"""The networks of TDGAN (Xie, Hu and Chen 2021, Tables I and II). Their encoders are in
train.networks.encoders, by name."""

from __future__ import annotations

from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from train.errors import UserError
from train.networks.encoders import Encoder, build_encoder
from train.networks.face_input import EncoderSpec

HIDDEN = 1024
"""Numbers in both hidden fc-layers of Table I."""

FUSED, NOISE, RESIDUALS = 128, 256, 6
"""Of the embedding module in Table II: channels of d_fuse and of d_n, residual blocks."""

DECODER_WIDTH = 64
"""An eighth of the channels of the decoder's first layer in Table II."""


class MapEncoder(Protocol):
    """An encoder with square maps: their channels and side, and how pixels become them."""

    spec: EncoderSpec
    map_shape: tuple[int, int]

    def maps(self, pixels: Tensor) -> Tensor: ...


class FcLayers(nn.Sequential):
    """The three-layer network of D_f, D_e and M_ER (Table I): maps (n, channels, side, side) →
    logits (n, classes); its softmax is left to the losses.

    dropout: before both hidden layers.
    """

    def __init__(self, inputs: int, classes: int, dropout: float):
        super().__init__(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(inputs, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN, classes),
        )
        self.out_features = classes


class TdganBranch(nn.Module):
    """An encoder and the three fc-layers: pixels (n, channels, size, size) in 0…1 → logits
    (n, classes). As E_e with M_ER in the place of an ExpressionBranch; as D_e; as D_f, with a
    class more than there are people."""

    def __init__(self, encoder: Encoder, classes: int, dropout: float):
        super().__init__()
        self.encoder = with_maps(encoder)
        channels, side = self.encoder.map_shape
        self.classifier = FcLayers(channels * side * side, classes, dropout)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.classifier(self.encoder.maps(pixels))

    def describe(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The representation, flattened (n, channels·side²), and the logits."""
        maps = self.encoder.maps(pixels)
        return maps.flatten(1), self.classifier(maps)


class ResidualBlock(nn.Module):
    """Figure 4: one 3×3 convolution and its ReLU, added to the input."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Embedding(nn.Module):
    """Emb, eq. 3: d_f and d_e (n, channels, side, side) and d_n (n, NOISE, side, side) → d_fuse
    (n, FUSED, side, side). Without norms, as Table II has it."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2 * channels + NOISE, FUSED, 3, 1, 1),
            nn.ReLU(inplace=True),
            *(ResidualBlock(FUSED) for _ in range(RESIDUALS)),
        )

    def forward(self, d_f: Tensor, d_e: Tensor, d_n: Tensor) -> Tensor:
        return self.layers(torch.cat([d_f, d_e, d_n.to(d_f.dtype)], dim=1))


class Decoder(nn.Sequential):
    """D_g of eq. 4: d_fuse (n, FUSED, side, side) → pixels (n, channels, size, size), 0 to 1.

    Transposed convolutions with instance norm and ReLU, whose channels fall by half from 8·width
    on, each the mirror of a halving: of 7 px to 4, say, is 4 to 7. The last has a sigmoid.
    """

    def __init__(self, side: int, channels: int, size: int, width: int):
        layers, depth = [], FUSED
        for stage, (small, large) in enumerate(_doublings(side, size)):
            kernel = 4 if large == 2 * small else 3
            layers += [
                nn.ConvTranspose2d(depth, width * 8 >> stage, kernel, 2, 1, bias=False),
                nn.InstanceNorm2d(width * 8 >> stage, affine=True),
                nn.ReLU(inplace=True),
            ]
            depth = width * 8 >> stage
        super().__init__(*layers, nn.ConvTranspose2d(depth, channels, 3, 1, 1), nn.Sigmoid())


class Generated(NamedTuple):
    """What G makes of n pairs: both representations (eq. 2), and pixels I_g (eq. 4)."""

    d_f: Tensor
    d_e: Tensor
    image: Tensor


class Generator(nn.Module):
    """G: pixels I_f and I_e (n, channels, size, size), 0 to 1 → :class:`Generated`.

    expressions: E_e; faces: E_f, of the same kind. width: as in Decoder.
    """

    def __init__(self, faces: Encoder, expressions: Encoder, width: int = DECODER_WIDTH):
        super().__init__()
        self.E_f, self.E_e = with_maps(faces), with_maps(expressions)
        channels, self.side = self.E_f.map_shape
        self.Emb = Embedding(channels)
        self.D_g = Decoder(self.side, faces.spec.channels, faces.spec.size, width)

    def forward(self, i_f: Tensor, i_e: Tensor, d_n: Tensor) -> Generated:
        d_f, d_e = self.E_f.maps(i_f), self.E_e.maps(i_e)
        return Generated(d_f, d_e, self.decode(d_f, d_e, d_n))

    def decode(self, d_f: Tensor, d_e: Tensor, d_n: Tensor) -> Tensor:
        """Eqs. 3 and 4 of representations that are there already."""
        return self.D_g(self.Emb(d_f, d_e, d_n))

    def noise(self, pixels: Tensor) -> Tensor:
        """d_n (n, NOISE, side, side) for these n pairs, uniform from 0 to 1."""
        return torch.rand((len(pixels), NOISE, self.side, self.side), device=pixels.device)

    def still_noise(self, pixels: Tensor) -> Tensor:
        """One d_n for all of these, always the same, for pictures to be compared."""
        random = torch.Generator().manual_seed(0)
        d_n = torch.rand((1, NOISE, self.side, self.side), generator=random)
        return d_n.to(pixels.device).expand(len(pixels), -1, -1, -1)

    @torch.no_grad()
    def transfer(self, i_f: Tensor, i_e: Tensor) -> Tensor:
        """Each of n faces with each of m expressions: float (n, m, channels, size, size)."""
        d_f, d_e = self.E_f.maps(i_f), self.E_e.maps(i_e)
        n, m = len(d_f), len(d_e)
        d_f, d_e = d_f.repeat_interleave(m, dim=0), d_e.repeat(n, 1, 1, 1)
        return self.decode(d_f, d_e, self.still_noise(d_f)).unflatten(0, (n, m)).float()


def with_maps(encoder: Encoder) -> MapEncoder:
    """The encoder itself; UserError where its maps are no square."""
    if not hasattr(encoder, "map_shape"):
        raise UserError("TDGAN needs an encoder with square maps: another --network.")
    return cast(MapEncoder, encoder)


def build_generator(network: str, expressions: Encoder, width: int | None) -> Generator:
    """G with fresh weights around E_e, the encoder of that name."""
    return Generator(build_encoder(network), expressions, width or DECODER_WIDTH)


def _doublings(side: int, size: int) -> list[tuple[int, int]]:
    """The steps from `side` to `size`, those of halving backwards."""
    sides = [size]
    while sides[-1] > side:
        sides.append(-(-sides[-1] // 2))
    return list(zip(sides[:0:-1], sides[-2::-1], strict=True))
