"""Which videos there are, and where the file of each goes."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from realtime.sources.frame import SourceError

VIDEOS = (
    *(".3gp", ".asf", ".avi", ".flv", ".gif", ".ivf", ".m2ts", ".m4v", ".mjpeg", ".mkv", ".mov"),
    *(".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
)
"""What counts as a video in a folder."""


@dataclass(frozen=True, slots=True)
class Video:
    """One of the corpus. name: its path below the source that it was found in, with / between; its
    file is that and ``.parquet`` in the folder of results. path: absolute. size: bytes."""

    name: str
    path: str
    size: int


def find_videos(sources: Iterable[str | Path]) -> list[Video]:
    """The videos of files, patterns (`*`, `?`, `[…]`, `**`) and folders with all below them.

    The largest first, so that none of them is alone at work in the end; one found twice counts
    once. Raises :class:`SourceError` where a source has none, and where two would get one file.
    """
    found: dict[str, Video] = {}
    seen: set[str] = set()
    for source in map(str, sources):
        videos = list(_videos(source))
        if not videos:
            raise SourceError(f"{source} holds no videos ({', '.join(VIDEOS)}).")
        for name, path in videos:
            whole = os.path.abspath(path)
            if whole in seen:
                continue
            seen.add(whole)
            if name in found:
                raise SourceError(
                    f"{found[name].path} and {whole} would both be written to {name}.parquet: give "
                    "the folder that holds both instead, or another --output for one of them."
                )
            found[name] = Video(name, whole, _size(path))
    return sorted(found.values(), key=lambda video: (-video.size, video.name))


def _videos(source: str) -> Iterator[tuple[str, str]]:
    """Name and path of each video of one source."""
    source = os.path.expanduser(source)
    if os.path.isdir(source):
        yield from _below(source)
    elif os.path.exists(source):
        yield os.path.basename(source), source
    elif glob.has_magic(source):
        yield from _matching(source)
    elif "://" in source:
        raise SourceError(
            f"{source} is no file: many videos are read from files and folders alone."
        )
    else:
        raise SourceError(f"{source} does not exist. Check the path.")


def _below(folder: str) -> Iterator[tuple[str, str]]:
    """The videos in a folder and all folders below it."""
    for at, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in files:
            if file.lower().endswith(VIDEOS) and not file.startswith("."):
                path = os.path.join(at, file)
                yield os.path.relpath(path, folder).replace(os.sep, "/"), path


def _matching(pattern: str) -> Iterator[tuple[str, str]]:
    """What a pattern matches, named from its first folder without a sign of a pattern on. Files are
    taken whatever their ending, as if given by name."""
    steady = os.path.dirname(pattern)
    while glob.has_magic(steady):
        steady = os.path.dirname(steady)
    for path in glob.iglob(pattern, recursive=True):
        if os.path.isfile(path):
            yield os.path.relpath(path, steady or ".").replace(os.sep, "/"), path
        elif "**" not in pattern:  # which names what lies below by itself
            for _, below in _below(path):
                yield os.path.relpath(below, steady or ".").replace(os.sep, "/"), below


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:  # a link to nothing; the reader says so
        return 0
