"""What a network sees of an aligned face."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class EncoderSpec:
    """What a recipe has to know of a network.

    size: side of the square input in pixels, 112 or 56 (then 112 is averaged 2×2 first).
    channels: 1 (grey) or 3 (RGB). width: channels of the first stage.
    detail: side in pixels to which a face is averaged before it is enlarged to `size`, so that a
    sharp face looks like those of FERPlus, which hold 48; None for the face as it is.
    window: left, top and side, in pixels, of the square of the aligned face that is seen; None for
    all. Of FERPlus's faces the forehead is often cut off, and what is there repeats the border.
    """

    size: int
    channels: int
    width: int
    detail: int | None = field(default=None, kw_only=True)
    window: tuple[int, int, int] | None = field(default=None, kw_only=True)


class FaceInput(nn.Module):
    """Aligned faces as stored to what a network sees.

    uint8 (n, 112, 112, 3) RGB or (n, 112, 112, 1) grey → float32 (n, channels, size, size), 0 to 1.
    detail: side to which a face is averaged before it is enlarged to `size`; None for `size`.
    """

    GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as OpenCV has it
    grey: Tensor

    def __init__(
        self,
        size: int,
        channels: int,
        detail: int | None = None,
        window: tuple[int, int, int] | None = None,
    ):
        super().__init__()
        self.size, self.channels, self.detail = size, channels, detail or size
        self.window = window
        self.register_buffer("grey", torch.tensor(self.GREY), persistent=False)

    def forward(self, faces: Tensor) -> Tensor:
        if self.window:
            left, top, side = self.window
            faces = faces[:, top : top + side, left : left + side]
        step = max(faces.shape[1] // self.detail, 1)
        if self.channels == 1 and faces.shape[3] == 3:
            pixels = self._grey_of_rgb(faces, step)
        else:
            pixels = (faces.float() / 255).permute(0, 3, 1, 2).expand(-1, self.channels, -1, -1)
            pixels = F.avg_pool2d(pixels, step) if step > 1 else pixels
        if pixels.shape[2] == self.size:
            return pixels
        return F.interpolate(pixels, size=self.size, mode="bilinear", align_corners=False)

    def _grey_of_rgb(self, faces: Tensor, step: int) -> Tensor:
        """Grey and the mean of step × step pixels in one convolution, over the bytes as they lie:
        one plane three times as wide, R, G, B, R, … ONNX Runtime needs 0.1 ms for it on a CPU, and
        2 ms for a product with the three weights of grey."""
        plane = faces.float().flatten(2).unsqueeze(1)
        kernel = (self.grey / (255 * step * step)).repeat(step).expand(1, 1, step, -1)
        return F.conv2d(plane, kernel, stride=(step, 3 * step))
