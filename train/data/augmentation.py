"""Random changes to aligned faces that keep their labels true, pose included."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from train.options import Bounds, NotNegative, Share
from train.pose import mirrored, turned

if TYPE_CHECKING:
    from kornia.augmentation import GeometricAugmentationBase2D


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
    """Probability that a rectangle is covered, in one grey."""
    covered: Share = 0.2
    """Largest share of the face's area that the rectangle takes."""
    blur: Share = 0.15
    """Probability of a Gaussian blur."""
    coarse: Share = 0.0
    """Probability that a face is one of fewer pixels, enlarged, as one far from the camera is."""
    surroundings: Share = 0.0
    """Probability that what lies around the face is another picture's."""
    stretch: NotNegative = 0.0
    """Fraction by which a face is made wider or narrower, and smoothly bent: other people's
    proportions, the same expression."""


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
        self.stretch, self.coarse = options.stretch, options.coarse
        self.surroundings = options.surroundings
        self.blur, self.erase, self.largest = options.blur, options.erase, options.covered
        self.light = (
            K.ColorJiggle(brightness=options.light, contrast=options.light, p=0.8)
            if options.light
            else None
        )

    def mirror_alike(self, pixels: Tensor) -> Tensor:
        """Other pixels (n, channels, size, size), mirrored where the last call mirrored its own."""
        flipped = _matrix(self.flip)[:, 0, 0] < 0
        return torch.where(flipped[:, None, None, None], pixels.flip(3), pixels)

    @torch.no_grad()
    def __call__(self, pixels: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        """New pixels (n, channels, size, size) in 0…1 and the poses (n, 3) that now hold."""
        if self.surroundings:
            pixels = elsewhere(pixels, self.surroundings)
        pixels = self.flip(pixels)
        flipped = _matrix(self.flip)[:, 0, 0] < 0
        pixels = self.affine(pixels)
        matrix = _matrix(self.affine)
        clockwise = torch.rad2deg(torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]))
        if self.stretch:
            pixels = stretched(pixels, self.stretch)
        if self.coarse:
            pixels = coarser(pixels, self.coarse)
        if self.light:
            pixels = self.light(pixels)
        if self.blur:
            pixels = blurred(pixels, self.blur)
        if self.erase:
            pixels = covered(pixels, self.erase, self.largest)
        pose = torch.where(flipped[:, None], mirrored(pose), pose)
        # As the networks' weights lie in memory; otherwise they would work a quarter slower.
        pixels = pixels.clamp(0, 1).contiguous(memory_format=torch.channels_last)
        return pixels, turned(pose, clockwise.to(pose.dtype))


def _matrix(change: GeometricAugmentationBase2D) -> Tensor:
    """What the last call did to each picture: (n, 3, 3)."""
    matrix = change.transform_matrix
    assert matrix is not None, "it has been called"
    return matrix


COARSEST = 0.2
"""Least side that a coarser face has, as a share of its own."""


def coarser(pixels: Tensor, share: float) -> Tensor:
    """A random `share` of the pictures (n, channels, size, size) with fewer pixels, enlarged again;
    how many is drawn for all of them together."""
    chosen = torch.rand(len(pixels), device=pixels.device) < share
    if not chosen.any():
        return pixels
    size = pixels.shape[2]
    side = int(torch.randint(round(size * COARSEST), size // 2, ()))
    small = F.interpolate(pixels[chosen], size=side, mode="area")
    result = pixels.clone()
    result[chosen] = F.interpolate(small, size=size, mode="bilinear", align_corners=False)
    return result


BLUR = 0.005, 0.022
"""Least and most standard deviation of a blur, as shares of the side."""


def blurred(pixels: Tensor, share: float) -> Tensor:
    """A random `share` of the pictures (n, channels, size, size), each blurred as much as is drawn
    for it."""
    from kornia.filters import gaussian_blur2d

    chosen = torch.rand(len(pixels), device=pixels.device) < share
    if not chosen.any():
        return pixels
    size = pixels.shape[2]
    sigma = pixels.new_empty(int(chosen.sum()), 1).uniform_(*(size * each for each in BLUR))
    kernel = 2 * math.ceil(size * BLUR[1] * 2) + 1
    result = pixels.clone()
    result[chosen] = gaussian_blur2d(pixels[chosen], kernel, sigma.expand(-1, 2))
    return result


LEAST_COVERED = 0.02
"""Of the area of a face that has something before it."""


def covered(pixels: Tensor, share: float, largest: float) -> Tensor:
    """A random `share` of the pictures (n, channels, size, size) with a rectangle of one grey in
    them, of up to `largest` of the area, between twice as wide as high and twice as high as wide."""
    n, _, size, _ = pixels.shape
    area, shape, x, y, grey = torch.rand(5, n, 1, 1, 1, device=pixels.device)
    area = (LEAST_COVERED + area * max(0.0, largest - LEAST_COVERED)).sqrt()
    shape = 2 ** (shape - 0.5)
    width, height = (area * shape).clamp(max=1), (area / shape).clamp(max=1)
    at = (torch.arange(size, device=pixels.device) + 0.5) / size
    inside_x = (at - x * (1 - width)).div(width).sub(0.5).abs() <= 0.5
    inside_y = (at[:, None] - y * (1 - height)).div(height).sub(0.5).abs() <= 0.5
    chosen = torch.rand(n, 1, 1, 1, device=pixels.device) < share
    return torch.where(chosen & inside_x & inside_y, grey.to(pixels.dtype), pixels)


def stretched(pixels: Tensor, strength: float) -> Tensor:
    """Pictures (n, channels, size, size), each wider or narrower, and sheared, by up to `strength`,
    and bent smoothly by as much of a quarter of it."""
    n, _, size, _ = pixels.shape
    draw = torch.empty(n, 2, device=pixels.device).uniform_(-strength, strength)
    matrix = torch.zeros(n, 2, 3, device=pixels.device)
    matrix[:, 0, 0], matrix[:, 1, 1] = 1 + draw[:, 0], 1
    matrix[:, 0, 1] = draw[:, 1] / 2
    grid = F.affine_grid(matrix, list(pixels.shape), align_corners=False)
    bend = torch.randn(n, 2, 5, 5, device=pixels.device) * (strength / 4)
    bend = F.interpolate(bend, size=size, mode="bicubic", align_corners=False)
    grid = grid + bend.permute(0, 2, 3, 1)
    return F.grid_sample(pixels, grid.to(pixels.dtype), padding_mode="border", align_corners=False)


FACE_ELLIPSE = (0.5, 0.62, 0.36, 0.46)
"""Centre and half axes, as shares of the side, of the part of an aligned face that is the face."""


def elsewhere(pixels: Tensor, share: float) -> Tensor:
    """A random `share` of the pictures (n, channels, size, size) with hair, forehead and background
    of another one, or of one grey: FERPlus cuts its faces so close that the border is repeated
    there, as no camera shows it."""
    n, _, size, _ = pixels.shape
    x, y, wide, high = FACE_ELLIPSE
    at = (torch.arange(size, device=pixels.device) + 0.5) / size
    distance = (((at[None] - x) / wide) ** 2 + ((at[:, None] - y) / high) ** 2).sqrt()
    # Soft over a tenth of the side, so that there is no edge to learn.
    inside = ((1.15 - distance) / 0.3).clamp(0, 1)
    other = pixels[torch.randperm(n, device=pixels.device)].flip(3)
    chosen = (torch.rand(n, 1, 1, 1, device=pixels.device) < share).to(pixels)
    outside = chosen * (1 - inside)
    return pixels * (1 - outside) + other * outside
