"""The part of a source that is looked at."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from realtime.sources.frame import Frame
from realtime.sources.live import View


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

    def of(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames that lie in the part. Those after it are not asked for."""
        last: int | None = None
        for frame in frames:
            if self._is_over(frame.time):
                return
            if self._takes(frame, last):
                last = frame.index
                yield frame

    def of_views(self, views: Iterable[View]) -> Iterator[View]:
        """The views of a live source whose frames lie in the part, and those without a frame. It
        ends in time whether frames come or not."""
        last: int | None = None
        for view in views:
            if self._is_over(view.frame.time if view.frame else view.time):
                return
            if view.frame is None:
                yield view
            elif self._takes(view.frame, last):
                last = view.frame.index
                yield view

    def _is_over(self, time: float) -> bool:
        return self.end is not None and time >= self.end

    def _takes(self, frame: Frame, last: int | None) -> bool:
        """Whether the frame is due. last: index of the one taken before."""
        return frame.time >= self.start and (last is None or frame.index - last >= self.every)


WHOLE = Part()
