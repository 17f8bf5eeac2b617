"""The folder of one server, which goes with it; those of servers that were killed go at a start."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where a folder in use cannot be told from one that is left over
    fcntl = None  # type: ignore[assignment]

PREFIX = "faces-"
LOCK = ".in-use"
"""File in the folder that a living server keeps locked; the system unlocks it when that dies."""

_UNLOCKED = ".new"
"""The same file until it is locked, so that no other start takes the folder for left over."""


@contextmanager
def own_folder() -> Iterator[Path]:
    """A new folder among the temporary files, removed after the block."""
    remove_left_over()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        if not fcntl:
            yield Path(name)
            return
        lock = os.open(Path(name) / _UNLOCKED, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.rename(Path(name) / _UNLOCKED, Path(name) / LOCK)
            yield Path(name)
        finally:
            os.close(lock)


def remove_left_over() -> None:
    """Removes this user's folders whose server is dead. Follows no link."""
    if not fcntl:
        return
    with os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and _is_own_folder(entry):
                _remove_if_dead(Path(entry.path))


def _is_own_folder(entry: os.DirEntry) -> bool:
    try:
        return (
            entry.is_dir(follow_symlinks=False)
            and entry.stat(follow_symlinks=False).st_uid == os.getuid()
        )
    except FileNotFoundError:
        return False


def _remove_if_dead(folder: Path) -> None:
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:  # no server's folder, or one that is only being made
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass  # its server lives
    finally:
        os.close(lock)
