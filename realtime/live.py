"""The loop for cameras and streams: the newest frame wins, and what fails is tried again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from realtime.source import Frame, Source, SourceError

SILENCE = 1.0
"""Seconds without a new frame after which the viewer is told; a slow camera gives two a second."""

SAME = 1.5
"""Seconds of frames that are equal to the last pixel, or black, after which the viewer is told."""

TICK = 0.1
"""Seconds after which the reader gets the word even if no frame came."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
"""Seconds before the first new try to open the source, doubled at each up to the longest."""


@dataclass(frozen=True, slots=True)
class View:
    """What there is to show: the newest frame, None where none came since the last view, and what
    is wrong with the source, None where nothing is."""

    frame: Frame | None
    trouble: str | None


class LiveFeed:
    """Reads a live source in a thread of its own and hands out the newest frame, once each.

    Frames that come while the last one is still being worked on are replaced by later ones, so
    what is shown is never older than one frame and one pass of the pipeline. A source that
    breaks is closed and opened again with growing pauses until it returns; meanwhile, and where
    it is silent, black or frozen, views without a frame say so. Times and indices go on over
    such breaks. A context manager that stops the thread.

    first: the open source, owned by the feed from here on. reopen: opens it again, or raises
    SourceError.
    """

    def __init__(self, first: Source, reopen: Callable[[], Source]):
        self._source: Source | None = first
        self._reopen = reopen
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._trouble: str | None = None
        self._fault: Exception | None = None
        self._started = self._last_frame = time.monotonic()
        self._look = _Look()
        self._stop = threading.Event()
        self.received = self.dropped = self.reopened = 0
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[View]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._frame is not None or self._fault, TICK)
                frame, self._frame = self._frame, None
                trouble = self._trouble or self._silence()
                fault = self._fault
            if fault:
                raise fault
            yield View(frame, trouble)

    def close(self) -> None:
        """Stops reading; waits at most two seconds for a camera that hangs."""
        self._stop.set()
        self._thread.join(timeout=2)

    def __enter__(self) -> LiveFeed:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _silence(self) -> str | None:
        silent = time.monotonic() - self._last_frame
        return f"no picture for {silent:.0f} s" if silent > SILENCE else None

    def _read(self) -> None:
        try:
            while not self._stop.is_set():
                self._read_until_it_breaks()
                self._open_again()
        except Exception as error:
            # Whatever it is belongs to the thread that takes the frames, which is told here.
            with self._changed:
                self._fault = error
                self._changed.notify()
        finally:
            if self._source is not None:
                self._source.close()

    def _read_until_it_breaks(self) -> None:
        try:
            for frame in self._source:
                if self._stop.is_set():
                    return
                self._hand_over(frame)
        except SourceError as error:
            self._tell(str(error))
        else:
            self._tell(f"{self._source.name} ended.")
        self._source.close()
        self._source = None

    def _hand_over(self, frame: Frame) -> None:
        now = time.monotonic()
        problem = self._look.problem(frame.image, now)
        # The clock of the feed runs on while the source's own starts again at each opening.
        frame = replace(frame, index=self.received, time=now - self._started, captured=now)
        self.received += 1
        with self._changed:
            self.dropped += self._frame is not None
            self._frame, self._trouble, self._last_frame = frame, problem, now
            self._changed.notify()

    def _open_again(self) -> None:
        wait = FIRST_WAIT
        while not self._stop.wait(wait):
            try:
                self._source = self._reopen()
            except SourceError as error:
                wait = min(2 * wait, LONGEST_WAIT)
                self._tell(f"{error} Next try in {wait:.0f} s.")
            else:
                self.reopened += 1
                return

    def _tell(self, trouble: str) -> None:
        with self._changed:
            self._trouble = trouble


class _Look:
    """Notices a picture that stays the same to the last pixel, or black."""

    def __init__(self):
        self._last: np.ndarray | None = None
        self._changed_at = self._lit_at = -np.inf

    def problem(self, image: np.ndarray, now: float) -> str | None:
        # A few thousand pixels tell as much as all of them: a live sensor's noise is everywhere.
        sample = image[:: max(1, image.shape[0] // 48), :: max(1, image.shape[1] // 64)].copy()
        if self._last is None or not np.array_equal(sample, self._last):
            self._changed_at = now
        if self._last is None or sample.max() > 24:
            self._lit_at = now
        self._last = sample
        if now - self._lit_at > SAME:
            return "the picture is black: is the lens covered?"
        if now - self._changed_at > SAME:
            return "the picture stands still: the camera hangs"
        return None
