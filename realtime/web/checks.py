"""What the page accepts, and the words in which it refuses the rest."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

PICTURE_PIXELS = 50_000_000
"""Largest picture; ten times what a screen shows."""

FRAME_PIXELS = 1920 * 1080
"""Largest frame of a live stream."""

VIDEO_PIXELS = 4096 * 2304
"""Largest frame of a video."""

VIDEO_SECONDS = 180
"""Longest video."""

FILE_MEGABYTES = 200
"""Largest file."""


class Refused(Exception):
    """What a visitor gave cannot be used. The message is one line that tells the fix."""


def check_picture(picture: Path | bytes, name: str, most: int) -> None:
    """Refused where `picture` is none, or has more than `most` pixels.

    Reads the header only: a small file can claim more pixels than there is memory.
    """
    try:
        with Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture) as image:
            pixels = image.width * image.height
    except Image.DecompressionBombError:
        pixels = None
    except (OSError, SyntaxError, ValueError):  # what Pillow's many readers raise
        raise Refused(
            f"{name} is not a picture that can be read. Give a JPEG, PNG, WebP, BMP or TIFF."
        ) from None
    if pixels is None or pixels > most:
        raise Refused(
            f"{name} is too large: at most {most / 1e6:.0f} million pixels are taken. "
            "Scale it down and try again."
        )
