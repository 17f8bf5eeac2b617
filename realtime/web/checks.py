"""What the page accepts, and the words in which it refuses the rest."""

from __future__ import annotations

from realtime.sources.pictures import USUAL, Limits, PictureError
from realtime.sources.pictures import check_picture as check

PICTURE_PIXELS = 50_000_000
"""Largest picture; ten times what a screen shows."""

SHOWN_PIXELS = 6_000_000
"""Largest picture that is looked at as it is; others are made smaller first, for the detector
takes forty bytes a pixel."""

PICTURE = Limits(USUAL, PICTURE_PIXELS, memory=240_000_000, shown=SHOWN_PIXELS)

FRAME_PIXELS = 1920 * 1080
"""Largest frame of a live stream."""

FRAME_FORMATS = ("JPEG",)

VIDEO_PIXELS = 4096 * 2304
"""Largest frame of a video."""

FULL_HD = 1920 * 1088 * 3 // 2
"""Bytes of a Full HD frame as it is usually decoded. Frames of more are made smaller at once."""

VIDEO_SECONDS = 180
"""Longest video."""

VIDEO_FRAMES = VIDEO_SECONDS * 240
"""Most frames of a video: what a fast camera gives in that time."""

VIDEO_WORK = 600
"""Seconds that a video may take, for the others wait meanwhile; what was done by then is shown."""

FILE_MEGABYTES = 200
"""Largest file."""


class Refused(Exception):
    """What a visitor gave cannot be used. The message is one line that tells the fix."""


def check_picture(picture: bytes, name: str, most: int) -> None:
    """Refused where a camera's frame is none, or has more than `most` pixels.

    Reads the header only: a small file can claim more pixels than there is memory.
    """
    try:
        check(picture, Limits(FRAME_FORMATS, most))
    except PictureError as error:
        raise Refused(f"{name} {error}") from None
