"""How much may be uploaded: by one visitor, and by all."""

from __future__ import annotations

import os
import threading
from collections import Counter, defaultdict
from pathlib import Path

from realtime.web.checks import FILE_MEGABYTES

EACH = 5 * FILE_MEGABYTES << 20
"""Bytes of uploads that one address may have on the server."""

TOTAL = 20 * FILE_MEGABYTES << 20
"""Bytes of all files, uploads and results, from which on no upload is taken."""

_MEGABYTE = 1 << 20


class Uploads:
    """Counts bytes; any thread may call. folder: where all files lie.

    What is counted for an address are the files that are still there: they go when their visitor
    leaves, and after an hour.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._files: defaultdict[str, set[Path]] = defaultdict(set)
        self._coming: Counter[str] = Counter()
        self._running = 0
        self._lock = threading.Lock()

    def begin(self, address: str, size: int) -> str | None:
        """Takes note of an upload of `size` bytes that begins, or says why it may not."""
        with self._lock:
            own = self._coming[address] + self._stored(address) + size
            if own > EACH:
                return (
                    f"You have {EACH // _MEGABYTE} MB on the server with this file, the most that "
                    "one visitor may have. Reload the page, which deletes them, and try again."
                )
            every = self._coming.total() + _bytes_in(self._folder) + size
            if every > TOTAL:
                return "The server has no room for this file at the moment. Try again in an hour."
            self._coming[address] += size
            self._running += 1
            return None

    def end(self, address: str, size: int, paths: list[Path]) -> None:
        """Takes note that it has ended, and of the files that came: none where it failed."""
        with self._lock:
            self._coming[address] -= size
            self._coming += Counter()  # forgets who has nothing on the way
            self._running -= 1
            if paths:
                self._files[address].update(paths)
            if not self._running:
                self._remove_parts()

    def _stored(self, address: str) -> int:
        sizes = {path: _size(path) for path in self._files.pop(address, ())}
        there = {path for path, size in sizes.items() if size}
        if there:
            self._files[address] = there
        return sum(sizes.values())

    def _remove_parts(self) -> None:
        """What Gradio leaves of uploads that broke off; those that came are in folders."""
        for path in self._folder.glob("tmp*"):
            if path.is_file():
                path.unlink(missing_ok=True)


def _bytes_in(folder: Path) -> int:
    # Unlike rglob, walk does not mind a folder that goes meanwhile, with its visitor.
    return sum(_size(Path(at, name)) for at, _, names in os.walk(folder) for name in names)


def _size(path: Path) -> int:
    """Of a file; 0 where there is none any more."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
