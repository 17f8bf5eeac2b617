"""What every source gives: frames, one after another, or one line that says what is wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MIN_SIDE = 16
"""Frames with a side of fewer pixels hold no face and are refused."""


class SourceError(Exception):
    """A source cannot be opened, or it broke off. The message is one line that tells the fix."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a source.

    image: uint8 H×W×3, RGB, contiguous, upright (EXIF and video rotation are applied).
    index: counts from 0 in each source.
    time: seconds since the first frame by the video's own clock, so a variable frame rate stays
        right; a picture of a folder lasts one second; a camera counts since it was opened.
    captured: when a live source gave it, by time.monotonic(); None for files.
    """

    image: np.ndarray
    index: int
    time: float
    captured: float | None = None


class Source(ABC):
    """An iterable of :class:`Frame`, to be read once, and a context manager.

    name: what was opened, for messages. width, height: of the first frame in pixels, upright;
    pictures of a folder may differ in size. fps: average frame rate, None where unknown.
    frames: how many to expect, None where unknown. live: a camera or stream without known end.
    still: pictures that have nothing to do with each other.

    Iterating raises :class:`SourceError` where the source breaks off, after every frame that
    could be read was given.
    """

    name: str
    width: int
    height: int
    fps: float | None = None
    frames: int | None = None
    live: bool = False
    still: bool = False

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """Releases the file or the camera; must not be called while another thread reads."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _measure(self, image: np.ndarray) -> None:
        self.height, self.width = image.shape[:2]
        if problem := too_small(image):
            raise SourceError(f"{self.name} {problem}")


def too_small(image: np.ndarray) -> str | None:
    """What is wrong with the size of an image, to stand after its name; None if nothing is."""
    height, width = image.shape[:2]
    if min(width, height) >= MIN_SIDE:
        return None
    return f"is {width}×{height} pixels; at least {MIN_SIDE}×{MIN_SIDE} are needed."
