"""Camera, video file, stream, folder of pictures or a single picture → one iterator of frames."""

from __future__ import annotations

import re
from pathlib import Path

from realtime.sources.camera import CameraSource
from realtime.sources.frame import Source, SourceError
from realtime.sources.pictures import PICTURES, PictureSource, is_picture, pictures_in


def open_source(spec: str | int | Path) -> Source:
    """Opens a camera (number), stream (URL), video, picture or folder of pictures (path).

    The first frame is read here, so the size is known and most bad input ends here.
    Raises :class:`SourceError`.
    """
    text = str(spec)
    if camera := re.fullmatch(r"(?:/dev/video)?(-?[0-9]+)", text):
        return CameraSource(int(camera[1]))
    if "://" in text:
        return _video(text, re.sub("://[^/@]*@", "://", text))  # no password in a message
    path = _there(text)
    if path.is_dir():
        if not (pictures := _pictures(path, text)):
            raise SourceError(f"{text} holds no pictures ({', '.join(PICTURES)}).")
        return PictureSource(text, pictures)
    if path.suffix.lower() != ".gif" and path.is_file() and is_picture(path):
        return PictureSource(text, [path])
    # The prefix keeps a colon in a file name from being read as a protocol.
    return _video(f"file:{path}", text)


def _there(text: str) -> Path:
    """The path of something that is there."""
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


def _video(url: str, name: str) -> Source:
    from realtime.sources.video import (
        VideoSource,  # FFmpeg takes a while to load; a camera goes without
    )

    return VideoSource(url, name)
