"""The part of a source that is looked at."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from realtime.sources.frame import Frame

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Part:
    """start, end: seconds by the source's own clock, from the first to before the second; None is
    its end. every: of how many frames one is taken. ValueError for what leaves nothing."""

    start: float = 0.0
    end: float | None = None
    every: int = 1

    def __post_init__(self):
        if not 0 <= self.start < math.inf:
            raise ValueError(f"A source cannot start at {self.start} s: give 0 or more.")
        if self.end is not None and not self.start < self.end:
            raise ValueError(
                f"From {self.start:g} s to {self.end:g} s there is nothing: give a later end."
            )
        if self.every < 1:
            raise ValueError(f"One of {self.every} frames cannot be taken: give 1 or more.")

    def frames(self, total: int | None, fps: float | None) -> int | None:
        """How many of `total` frames lie in it, None where that is not known."""
        if total is None:
            return None
        if self.start or self.end is not None:
            if not fps:
                return None
            last = total if self.end is None else min(total, math.ceil(self.end * fps))
            total = max(0, last - math.ceil(self.start * fps))
        return math.ceil(total / self.every)

    def of(self, items: Iterable[Item], frame_of: Callable[[Item], Frame | None]) -> Iterator[Item]:
        """The items whose frames lie in the part, and those without a frame. Those after it are
        not asked for."""
        last: int | None = None
        for item in items:
            frame = frame_of(item)
            if frame is None:
                yield item
                continue
            if self.end is not None and frame.time >= self.end:
                return
            due = last is None or frame.index - last >= self.every
            if frame.time >= self.start and due:
                last = frame.index
                yield item


WHOLE = Part()
