"""Which files belong to whom, so that they go when the visitor goes."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

MOST = 1000
"""Visitors to remember; before one more comes, the files go of the one who was longest silent
among those of the address that has the most."""


class Visitor:
    """One page that is open, or one client of the API."""

    def __init__(self, folder: Path, address: str = ""):
        self.address = address
        self.uploads: set[Path] = set()
        self._folder = folder
        self._stop = threading.Event()
        self._left = False
        self._writing = 0
        self._lock = threading.Lock()

    @contextmanager
    def results(self) -> Iterator[Path]:
        """A new folder for results, gone after the block where that fails or the visitor left."""
        # Who knows the path of a file can fetch it, so it must not be guessed.
        folder = self._folder / secrets.token_hex(8)
        with self._lock:
            self._writing += 1
            folder.mkdir(parents=True)
        try:
            yield folder
        except BaseException:
            shutil.rmtree(folder)
            raise
        finally:
            with self._lock:
                self._writing -= 1
            self._tidy()

    def new_job(self) -> threading.Event:
        """Set when the work that now begins shall stop; work begun before is stopped."""
        self.stop()
        self._stop = threading.Event()
        return self._stop

    def stop(self) -> None:
        """Stops the work that is being done for this visitor."""
        self._stop.set()

    def leave(self) -> None:
        """Stops the work, and removes the results once nothing writes to them any more."""
        self._left = True
        self.stop()
        self._tidy()

    def _tidy(self) -> None:
        with self._lock:
            if self._left and not self._writing and self._folder.exists():
                shutil.rmtree(self._folder)


class Visitors:
    """All visitors by Gradio's session. root: the folder in which all their files lie."""

    def __init__(self, root: Path):
        self._root = root
        self._visitors: OrderedDict[str | None, Visitor] = OrderedDict()
        self._kept: set[Path] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._visitors)

    def keep(self, paths: Iterable[Path]) -> None:
        """Files that belong to all, as the example pictures do."""
        self._kept.update(path.resolve() for path in paths)

    def visitor(self, session: str | None, address: str = "") -> Visitor:
        """The visitor of a session, who comes to be with the first call."""
        with self._lock:
            if session not in self._visitors:
                folder = self._root / secrets.token_hex(16)
                self._visitors[session] = Visitor(folder, address)
            self._visitors.move_to_end(session)
            visitor = self._visitors[session]
            leaves = self._who_leaves() if len(self._visitors) > MOST else None
        if leaves:
            self.leave(leaves)
        return visitor

    def _who_leaves(self) -> str | None:
        """The session longest silent of the address that has the most, so that nobody can put
        the others out by coming again and again."""
        addresses = Counter(visitor.address for visitor in self._visitors.values())
        ((crowded, _),) = addresses.most_common(1)
        return next(
            session for session, visitor in self._visitors.items() if visitor.address == crowded
        )

    def uploaded(self, session: str | None, path: Path, address: str = "") -> None:
        """Notes that a file came from this visitor. Any path below the root may be named, also that
        of a folder or by way of another one; only a file that is nobody's else goes with them."""
        path = path.resolve()
        if path.is_file() and path not in self._kept:
            self.visitor(session, address).uploads.add(path)

    def leave(self, session: str | None) -> None:
        """Stops the work for a visitor and removes the files; an upload that another visitor sent
        as well, which is stored once, stays for that one."""
        with self._lock:
            visitor = self._visitors.pop(session, None)
            if visitor is None:
                return
            others = {path for other in self._visitors.values() for path in other.uploads}
        visitor.leave()
        for path in visitor.uploads - others:
            path.unlink(missing_ok=True)
