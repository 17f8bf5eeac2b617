"""Random changes to aligned faces that keep their labels true, pose included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from train.options import Bounds, NotNegative, Share
from train.pose import mirrored, turned


@dataclass(frozen=True)
class Augmentation:
    """How strongly faces are changed; 0 switches a change off."""

    rotation: NotNegative = 15.0
    """Degrees either way."""
    shift: Share = 0.08
    """Fraction of the side, either way."""
    zoom: Annotated[float, Bounds(0, 0.9)] = 0.12
    """Fraction of the size, either way."""
    light: Share = 0.3
    """Fraction by which brightness and contrast vary."""
    erase: Share = 0.3
    """Probability of erasing a rectangle."""
    blur: Share = 0.15
    """Probability of a Gaussian blur."""


class Augmenter:
    """Applies an :class:`Augmentation` to batches of pixels."""

    def __init__(self, options: Augmentation):
        # Here, since loading it takes a second that not every command has to wait for.
        import kornia.augmentation as K

        self.flip = K.RandomHorizontalFlip(p=0.5)
        self.affine = K.RandomAffine(
            degrees=options.rotation,
            translate=(options.shift, options.shift),
            scale=(1 - options.zoom, 1 + options.zoom),
            padding_mode="border",
            p=1.0,
        )
        self.look = [
            K.ColorJiggle(brightness=options.light, contrast=options.light, p=0.8)
            if options.light
            else None,
            K.RandomGaussianBlur((5, 5), (0.3, 1.2), p=options.blur) if options.blur else None,
            K.RandomErasing(scale=(0.02, 0.2), p=options.erase) if options.erase else None,
        ]

    def mirror_alike(self, pixels: Tensor) -> Tensor:
        """Other pixels (n, channels, size, size), mirrored where the last call mirrored its own."""
        flipped = self.flip.transform_matrix[:, 0, 0] < 0
        return torch.where(flipped[:, None, None, None], pixels.flip(3), pixels)

    @torch.no_grad()
    def __call__(self, pixels: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        """New pixels (n, channels, size, size) in 0…1 and the poses (n, 3) that now hold."""
        pixels = self.flip(pixels)
        flipped = self.flip.transform_matrix[:, 0, 0] < 0
        pixels = self.affine(pixels)
        matrix = self.affine.transform_matrix
        clockwise = torch.rad2deg(torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]))
        for change in filter(None, self.look):
            pixels = change(pixels)
        pose = torch.where(flipped[:, None], mirrored(pose), pose)
        # As the networks' weights lie in memory; otherwise they would work a quarter slower.
        pixels = pixels.clamp(0, 1).contiguous(memory_format=torch.channels_last)
        return pixels, turned(pose, clockwise.to(pose.dtype))
