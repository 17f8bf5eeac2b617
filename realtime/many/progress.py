"""How far the videos are: done, frames a second, time to go."""

from __future__ import annotations

import sys
import time

OFTEN, SELDOM = 0.5, 30.0
"""Seconds between two words on a terminal, and into a file."""


class Progress:
    """Counts, and says how far it is on stderr. quiet: says nothing.

    videos, size: how many there are, and their bytes, by which the time to go is reckoned.
    """

    def __init__(self, videos: int, size: int, quiet: bool = False):
        self._videos, self._to_read = videos, size
        self._quiet, self._terminal = quiet, sys.stderr.isatty()
        self._started = self._said = time.monotonic()
        self.done = self.frames = self._read = 0

    def skip(self, size: int) -> None:
        """A video that is not read now."""
        self._to_read -= size
        self.done += 1
        self._say()

    def finish(self, size: int) -> None:
        """A video that was read."""
        self._read += size
        self.done += 1
        self._say()

    def add_frames(self, frames: int) -> None:
        self.frames += frames
        self._say()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def rate(self) -> float:
        """Frames a second since the beginning."""
        return self.frames / max(self.seconds, 1e-9)

    def line(self) -> str:
        text = f"{self.done} of {self._videos} videos, {self.rate:.0f} frames/s"
        if self._read:
            to_go = self.seconds * max(self._to_read - self._read, 0) / self._read
            text += f", {duration(to_go)} to go"
        return text

    def close(self) -> None:
        """Leaves a clean line on the terminal."""
        if self._terminal and not self._quiet:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _say(self) -> None:
        now = time.monotonic()
        if self._quiet or now - self._said < (OFTEN if self._terminal else SELDOM):
            return
        self._said = now
        line = f"\r\x1b[K{self.line()}" if self._terminal else f"{self.line()}\n"
        print(line, end="", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """In words: 40 s, 12 min, 3.5 h, 2.1 days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"
