"""E_id and N: a frozen face recognition network (IPD-FER, sections 3.1 and 4.2).

The same network serves as both. It is a tool of training: nothing of it is kept for inference.
"""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from train.data.prepared import DataError
from train.mtcnn import import_facenet_pytorch

FEATURE_DIM = 512
"""Numbers in f_id, and so in f_pose and f_exp, which are added to it."""

CPU_PIECE = 16
"""Faces at a time on a CPU. More do not fit its caches: 128 at once take twice as long."""

FACENET = {"facenet-casia": "casia-webface", "facenet-vggface2": "vggface2"}


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
        self.prelu = nn.Identity() if linear else nn.PReLU(channels_out)

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
            nn.PReLU(wide),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.PReLU(wide),
            nn.Conv2d(wide, channels_out, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.skip else self.conv(x)


class MobileFaceNet(nn.Module):
    """MobileFaceNet (Chen et al. 2018) for faces 112 high and 96 wide.

    Pixels (n, 3, 112, 96), RGB, -1 to 1 → (n, 512), what the global depthwise convolution gives.
    The last layer, to an embedding of 128, is there for the file's sake.
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
                blocks.append(
                    InvertedResidual(channels, width, 1 if repeat else stride, expansion)
                )
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = ConvBlock(channels, FEATURE_DIM, 1)
        self.linear7 = ConvBlock(
            FEATURE_DIM, FEATURE_DIM, (7, 6), groups=FEATURE_DIM, linear=True
        )
        self.linear1 = ConvBlock(FEATURE_DIM, 128, 1, linear=True)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.blocks(self.dw_conv1(self.conv1(pixels)))
        return self.linear7(self.conv2(x)).flatten(1)


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
        normalised = (pixels * 255 - 127.5) / 128
        return self.network(normalised.expand(-1, 3, -1, -1)) * self.scale


def load_identity(spec: str) -> Identity:
    """E_id by what ``--identity`` says; DataError where it cannot be had.

    spec: a file with the state dict of a :class:`MobileFaceNet`, or ``facenet-casia`` or
    ``facenet-vggface2`` for the InceptionResnetV1 of facenet-pytorch, which fetches its weights
    from the network the first time.
    """
    return _load_facenet(spec) if spec in FACENET else _load_mobilefacenet(Path(spec))


def _load_mobilefacenet(path: Path) -> Identity:
    if not path.is_file():
        raise DataError(
            f"--identity {path}: there is no such file; give a MobileFaceNet state dict, "
            f"{' or '.join(FACENET)}."
        )
    network = MobileFaceNet()
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, pickle.UnpicklingError, EOFError, TypeError, AttributeError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise DataError(f"--identity {path} is not a MobileFaceNet state dict: {reason}") from None
    return Identity(network, side=112, margin=8)


def _load_facenet(spec: str) -> Identity:
    try:
        network = import_facenet_pytorch().InceptionResnetV1(pretrained=FACENET[spec])
    except OSError as error:
        raise DataError(
            f"--identity {spec}: its weights could not be fetched ({error}). Connect once, or give "
            "the path of a MobileFaceNet state dict."
        ) from None
    # Its features have length 1: this makes them as large as those they are added to.
    return Identity(network, side=160, margin=0, scale=FEATURE_DIM**0.5)


class _FixedPReLU(torch.autograd.Function):
    """PReLU whose slopes take no gradient: torch's own computes theirs in any case, and slowly."""

    @staticmethod
    def forward(context, x: Tensor, slope: Tensor) -> Tensor:
        context.save_for_backward(x, slope)
        return F.prelu(x, slope)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None]:
        x, slope = context.saved_tensors
        slope = slope.view(1, -1, 1, 1)
        positive = torch.ops.aten.threshold_backward(gradient, x, 0)
        return torch.addcmul(positive * (1 - slope), gradient, slope), None


class FixedPReLU(nn.Module):
    """A trained PReLU that stays as it is."""

    def __init__(self, prelu: nn.PReLU):
        super().__init__()
        self.register_buffer("slope", prelu.weight.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        return _FixedPReLU.apply(x, self.slope)


def _fold(network: nn.Module) -> None:
    """Put batch norms into the convolutions before them and fix PReLUs: the same function, and
    gradients through it in half the time."""
    for module in list(network.modules()):
        previous = ("", None)
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d) and isinstance(previous[1], nn.Conv2d):
                setattr(module, previous[0], fuse_conv_bn_eval(previous[1], child))
                setattr(module, name, nn.Identity())
            elif isinstance(child, nn.PReLU):
                setattr(module, name, FixedPReLU(child))
            previous = (name, child)
    network.requires_grad_(False)


def _fingerprint(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
