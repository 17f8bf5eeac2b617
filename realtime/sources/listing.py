"""Everything that can be looked at → a list of single sources: globs, folders, lists, pictures."""

from __future__ import annotations

import glob
import operator
import os
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from realtime.sources.frame import Source, SourceError
from realtime.sources.given import GivenFrames, check_picture, is_given
from realtime.sources.open import STDIN, camera_number, there
from realtime.sources.pictures import PICTURES, natural, pictures_in

VIDEOS = (
    *(".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"),
    *(".mpg", ".mts", ".mxf", ".ogv", ".ts", ".webm", ".wmv"),
)
"""What counts as a video in a folder."""

Single = str | int | Source
"""One thing to open: a path, an address or a camera; or pictures that are there already."""

Lookable = str | os.PathLike[str] | int | np.ndarray | Image.Image | Iterable[Any]
"""What can be looked at."""

KINDS = "a path, glob, folder, URL, camera number, NumPy array, Pillow picture, or a list of these"


def listed(given: Lookable, colour: str = "rgb", fps: float | None = None) -> list[Single]:
    """What `given` means, one source after another, in its order.

    given: see :data:`KINDS`. A folder is its own pictures, as one source, and the videos in it and
    below, each one; a glob is what it matches, 9.png before 10.png. Pictures that follow each other
    in a list are one source. colour: of the arrays. fps: `given` is an array N×H×W×3, a list or an
    iterator of pictures that are frames of a video.

    Nothing is opened yet, but what is not there is told: SourceError, and TypeError or ValueError
    for what is no source.
    """
    if fps is not None:
        return [_video(given, colour, fps)]
    things = given if isinstance(given, (list, tuple)) else [given]
    if not things:
        raise ValueError(f"The list of sources is empty: give {KINDS}.")
    found: list[Single] = []
    for pictures, group in groupby(things, is_given):
        if pictures:
            found.append(GivenFrames(list(group), colour))
        else:
            found += [single for thing in group for single in _singles(thing)]
    return found


def _video(given: Any, colour: str, fps: float) -> Source:
    if not 0 < fps <= 1000:
        raise ValueError(f"fps={fps}: give the frames a second, as 25.")
    single = is_given(given) and not (isinstance(given, np.ndarray) and given.ndim == 4)
    if single or isinstance(given, (str, os.PathLike)) or not isinstance(given, Iterable):
        raise TypeError(
            "fps=… goes with frames, as a list or iterator of pictures; all else knows its own."
        )
    return GivenFrames(given, colour, fps)


def _singles(thing: Any) -> list[Single]:
    if isinstance(thing, (str, os.PathLike)):
        return list(_expanded(os.fspath(thing)))
    if isinstance(thing, (int, np.integer)) and not isinstance(thing, bool):
        return [operator.index(thing)]
    if isinstance(thing, Iterator):
        raise TypeError(
            "An iterator does not say whether it gives pictures or frames: give list(…) of "
            "pictures, or fps=… beside it for frames of a video."
        )
    if isinstance(thing, (list, tuple)):
        raise TypeError("A list of sources holds no further lists: give one list of all.")
    try:
        check_picture(thing)
    except TypeError as error:
        if type(thing).__module__ == "builtins" and not isinstance(thing, (bytes, bytearray)):
            name = "None" if thing is None else f"a {type(thing).__name__}"
            raise TypeError(f"{name} is nothing to look at: give {KINDS}.") from None
        raise error
    raise AssertionError("what is a picture was taken before")


def _expanded(text: str) -> list[str]:
    """The single sources that a text means."""
    if refused := _not_taken(text):
        raise SourceError(refused)
    if text == STDIN or camera_number(text) is not None or "://" in text:
        return [text]
    try:
        there(text)
    except SourceError:
        if glob.escape(text) == text:
            raise
        matches = sorted(glob.glob(os.path.expanduser(text), recursive=True), key=natural)
        if not matches:
            raise SourceError(f"{text} matches no file. Check the pattern.") from None
        return [single for match in matches for single in _in_folder_or_file(match)]
    return _in_folder_or_file(text)


def _in_folder_or_file(text: str) -> list[str]:
    folder = Path(text).expanduser()
    if not folder.is_dir():
        return [text]
    try:
        pictures = bool(pictures_in(folder))
    except OSError as error:
        raise SourceError(f"{text} cannot be opened: {error.strerror}.") from None
    found = [text] if pictures else []
    found += _videos_below(folder)
    if not found:
        raise SourceError(
            f"{text} holds no pictures ({', '.join(PICTURES)}), and neither it nor a folder in it "
            f"a video ({', '.join(VIDEOS)})."
        )
    return found


def _videos_below(folder: Path) -> list[str]:
    """The videos in a folder and in those in it; hidden ones are left out."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            os.path.join(place, name)
            for name in files
            if name.lower().endswith(VIDEOS) and not name.startswith(".")
        ]
    return sorted(found, key=natural)


def _not_taken(text: str) -> str | None:
    """Why something that other programs take is not taken here, and what to do."""
    if re.match(r"https?://(?:[a-z]+\.)?(?:youtube\.com|youtu\.be)/", text):
        return f"{text} is a page with a video in it: download that first, as with yt-dlp."
    if re.fullmatch(r"screen(?: [0-9 ]+)?", text) and not os.path.exists(text):
        return (
            "The screen is no source: pipe it in, as "
            "`ffmpeg -f x11grab -i :0 -f matroska - | python -m realtime --source -` does."
        )
    if text.lower().endswith((".txt", ".csv", ".streams")) and os.path.isfile(text):
        return f"{text} is no video; what such a list names is given one after another instead."
    return None
