"""MobileNet V1 (Howard et al. 2017), as HSE_FaceRec_tf trained it to recognise the faces of
VGGFace2; an encoder that may start from those weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

MEAN_BGR = (103.939, 116.779, 123.68)
"""What is taken off the pixels, 0 to 255, of each colour."""

WIDTHS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
"""Channels after each pair of convolutions, where the first layer has 32."""

HALVING_PAIRS = (2, 4, 6, 12)
"""The pairs, counted from 1, that halve the sides; the first layer does too."""


class Convolution(nn.Module):
    """3×3 (of each channel by itself, or the first layer's) or 1×1 convolution, batch
    normalisation, ReLU6. TensorFlow's SAME padding: a stride of 2 pads nothing before, and one row
    and one column after."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, groups: int):
        super().__init__()
        padding = kernel // 2 if stride == 1 else 0
        self.after = 1 if stride == 2 else 0
        self.conv = nn.Conv2d(
            channels_in, channels_out, kernel, stride, padding, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        if self.after:
            x = F.pad(x, (0, self.after, 0, self.after))
        return F.relu6(self.bn(self.conv(x)))


class MobileNet(nn.Module):
    """MobileNet V1 over pixels of any side, BGR, 0 to 255 without :data:`MEAN_BGR`: float
    (n, 3, side, side) → maps (n, 32·width, side/32, side/32), whose mean is the feature."""

    def __init__(self, width: int = 32):
        """width: channels of the first layer, 32 in the published network."""
        super().__init__()
        self.conv1 = Convolution(3, width, 3, 2, 1)
        channels = width
        for pair, wide in enumerate(WIDTHS, start=1):
            wide, stride = wide * width // 32, 2 if pair in HALVING_PAIRS else 1
            self.add_module(f"conv_dw_{pair}", Convolution(channels, channels, 3, stride, channels))
            self.add_module(f"conv_pw_{pair}", Convolution(channels, wide, 1, 1, 1))
            channels = wide

    def forward(self, pixels: Tensor) -> Tensor:
        for layer in self.children():
            pixels = layer(pixels)
        return pixels

    def named_layers(self) -> Iterator[tuple[str, Convolution]]:
        """The convolutions in their order, by the names that the published file has."""
        for name, layer in self.named_children():
            assert isinstance(layer, Convolution)
            yield name, layer


def read_mobilenet(path: Path) -> MobileNet:
    """The recognition network of a safetensors file in which batch normalisation is folded to a
    scale and a shift; ValueError if it is none.

    Its function is the file's, but its running statistics are 0 and 1 until
    :func:`open_normalisation` has seen faces: train it only then.
    """
    network = MobileNet()
    try:
        found = load_file(path)
        with torch.no_grad():
            for name, layer in network.named_layers():
                layer.conv.weight.copy_(found[f"{name}.weight"])
                layer.bn.weight.copy_(found[f"{name}.scale"] * (1 + layer.bn.eps) ** 0.5)
                layer.bn.bias.copy_(found[f"{name}.shift"])
    except (SafetensorError, KeyError, RuntimeError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise ValueError(f"{path} is not this project's MobileNet: {reason}") from None
    return network.eval()


@torch.no_grad()
def open_normalisation(network: nn.Module, *inputs: Tensor) -> None:
    """Give each batch normalisation of `network` the running statistics of `inputs`, and the weight
    and bias with which it does what it did before.

    A network whose normalisation was folded away does in its first training step, with statistics
    of its batches, something else entirely, and forgets what it knew; opened, it goes on.
    """
    seen: dict[nn.BatchNorm2d, tuple[Tensor, Tensor]] = {}

    def look(layer: nn.BatchNorm2d, given: tuple[Tensor]) -> None:
        variance, mean = torch.var_mean(given[0].double(), dim=(0, 2, 3), correction=0)
        seen[layer] = mean, variance

    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    training = network.training
    network.eval()(*inputs)
    network.train(training)
    for hook in hooks:
        hook.remove()
    for layer in layers:
        mean, variance = seen[layer]
        old_mean, old_variance = layer.running_mean, layer.running_var
        assert old_mean is not None and old_variance is not None, "evaluation mode needs both"
        scale = layer.weight.double() / (old_variance.double() + layer.eps).sqrt()
        shift = layer.bias.double() - scale * old_mean.double()
        layer.weight.copy_(scale * (variance + layer.eps).sqrt())
        layer.bias.copy_(shift + scale * mean)
        old_mean.copy_(mean)
        old_variance.copy_(variance)
