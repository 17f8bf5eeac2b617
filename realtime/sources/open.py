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
    path = Path(text).expanduser()
    if path.is_dir():
        if not (pictures := pictures_in(path)):
            raise SourceError(f"{text} holds no pictures ({', '.join(PICTURES)}).")
        return PictureSource(text, pictures)
    if not path.exists():
        raise SourceError(f"{text} does not exist. Check the path; cameras are given by number.")
    if path.suffix.lower() != ".gif" and path.is_file() and is_picture(path):
        return PictureSource(text, [path])
    # The prefix keeps a colon in a file name from being read as a protocol.
    return _video(f"file:{path}", text)


def _video(url: str, name: str) -> Source:
    from realtime.sources.video import (
        VideoSource,  # FFmpeg takes a while to load; a camera goes without
    )

    return VideoSource(url, name)
