"""Camera, video file, stream, folder of pictures or a single picture → one iterator of frames."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from realtime.sources.address import picture_at
from realtime.sources.camera import AS_IT_IS, CameraMode, CameraSource
from realtime.sources.frame import Source, SourceError
from realtime.sources.pictures import PICTURES, PictureSource, is_picture, pictures_in

STDIN = "-"
"""Stands for a video on the standard input."""


def open_source(spec: str | int | Path, camera: CameraMode = AS_IT_IS) -> Source:
    """Opens a camera (number); a stream or picture (URL); a video, picture or folder of pictures
    (path); or a video on standard input (:data:`STDIN`), each frame of which is read.

    camera: what a camera is asked for. The first frame is read here, so the size is known and most
    bad input ends here. Raises :class:`SourceError`.
    """
    text = str(spec)
    if (number := camera_number(text)) is not None:
        return CameraSource(number, camera)
    if text == STDIN:
        return _standard_input()
    if "://" in text:
        return _at_address(text)
    path = there(text)
    if path.is_dir():
        if not (pictures := _pictures(path, text)):
            raise SourceError(f"{text} holds no pictures ({', '.join(PICTURES)}).")
        return PictureSource(text, pictures)
    if path.suffix.lower() != ".gif" and path.is_file() and is_picture(path):
        return PictureSource(text, [path])
    # The prefix keeps a colon in a file name from being read as a protocol.
    return _video(f"file:{path}", text)


def camera_number(text: str) -> int | None:
    """That of the camera that a text means, None where it means none."""
    camera = re.fullmatch(r"(?:/dev/video)?(-?[0-9]+)", text)
    return int(camera[1]) if camera else None


def there(text: str) -> Path:
    """The path of something that is there; SourceError where nothing is."""
    try:
        path = Path(text).expanduser()
        there = path.exists()
    except RuntimeError:  # there is no such user whose folder could stand for ~
        there = False
    except OSError as error:  # the name is too long, or a folder above may not be looked into
        raise SourceError(f"{text} cannot be opened: {error.strerror}. Check the path.") from None
    if not there:
        raise SourceError(f"{text} does not exist. Check the path; cameras are given by number.")
    return path


def _pictures(folder: Path, name: str) -> list[Path]:
    try:
        return pictures_in(folder)
    except OSError as error:
        raise SourceError(f"{name} cannot be opened: {error.strerror}.") from None


def _at_address(url: str) -> Source:
    name = re.sub("://[^/@]*@", "://", url)  # no password in a message
    content = picture_at(url, name)
    return _video(url, name) if content is None else PictureSource(name, [content])


def _standard_input() -> Source:
    if sys.stdin is not None and sys.stdin.isatty():
        raise SourceError(
            "- is a video on standard input, which is a keyboard here: pipe one in, as "
            "`ffmpeg -i FILE -c copy -f matroska - | …` does."
        )
    return _video("pipe:0", "Standard input")


def _video(url: str, name: str) -> Source:
    from realtime.sources.video import (
        VideoSource,  # FFmpeg takes a while to load; a camera goes without
    )

    return VideoSource(url, name)
