"""The loop for cameras and streams: the newest frame wins, and what fails is tried again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from realtime.sources.frame import Frame, Source, SourceError

SILENCE = 1.0
"""Seconds without a new frame after which the viewer is told; a slow camera gives two a second."""

SAME = 1.5
"""Seconds of frames that are equal to the last pixel, or black, after which the viewer is told."""

TICK = 0.1
"""Seconds after which the reader gets the word even if no frame came."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 2.0
"""Seconds before the first new try to open the source, doubled at each up to the longest: who
plugs a camera in again does not wait for more."""

HANGS, LONGEST_HANGS = 5.0, 60.0
"""Seconds for which a picture may stand still before its source is closed and opened again, and the
most between two such tries: there are sources that do show a still picture."""

HANGS_UP = 2.0
"""Seconds for which closing waits for a camera that hangs."""

NEWS = 2.0
"""Seconds for which news stay in the picture."""


@dataclass(frozen=True, slots=True)
class View:
    """What there is to show: the newest frame, None where none came since the last view; what is
    wrong with the source, and what changed that is no fault, None where nothing is or did; time:
    seconds since a live source was opened."""

    frame: Frame | None
    trouble: str | None
    news: str | None = None
    time: float = 0.0

    @property
    def kind(self) -> str | None:
        """The trouble without the seconds at its end, which count up."""
        return self.trouble and self.trouble.rstrip("0123456789 s.")


class LiveFeed:
    """Reads a live source in a thread of its own and hands out the newest frame, once each.

    Frames that come while the last one is still being worked on are replaced by later ones, so
    what is shown is never older than one frame and one pass of the pipeline. A source that
    breaks or freezes is closed and opened again with growing pauses until it returns; meanwhile,
    and where it is silent, black or frozen, the views say so. Times and indices go on over such
    breaks. A context manager that stops the thread.

    first: the open source, owned by the feed from here on: the thread that reads a source is the
    one that closes it, for closing one while it is read can crash. reopen: opens it again, or
    raises SourceError.
    """

    def __init__(self, first: Source, reopen: Callable[[], Source]):
        self._source: Source | None = first
        self._reopen = reopen
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._trouble: str | None = None
        self._size: tuple[int, int] | None = None
        self._resized = -np.inf
        self._fault: Exception | None = None
        self._started = self._last_frame = time.monotonic()
        self._look, self._hangs = _Look(), HANGS
        self._stop = threading.Event()
        self.received = self.dropped = self.reopened = 0
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[View]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._frame is not None or self._fault, TICK)
                frame, self._frame = self._frame, None
                now = time.monotonic() - self._started
                view = View(frame, self._trouble or self._silence(), self._news(), now)
                fault = self._fault
            if fault:
                raise fault
            yield view

    def close(self) -> None:
        """Stops reading. A camera that hangs is waited for a while, and then left to the thread,
        which closes it when the read ends."""
        self._stop.set()
        self._thread.join(HANGS_UP)

    def __enter__(self) -> LiveFeed:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _silence(self) -> str | None:
        silent = time.monotonic() - self._last_frame
        return f"no picture for {silent:.0f} s" if silent > SILENCE else None

    def _news(self) -> str | None:
        if self._size is None or time.monotonic() - self._resized > NEWS:
            return None
        return f"the picture has {self._size[0]}×{self._size[1]} pixels now"

    def _read(self) -> None:
        try:
            while self._source is not None and not self._stop.is_set():
                self._read_until_it_breaks(self._source)
                self._open_again()
        except Exception as error:
            # Whatever it is belongs to the thread that takes the frames, which is told here.
            with self._changed:
                self._fault = error
                self._changed.notify()
        finally:
            if self._source is not None:
                self._source.close()

    def _read_until_it_breaks(self, source: Source) -> None:
        try:
            for frame in source:
                if self._stop.is_set():
                    return
                self._hand_over(frame)
                if self._frozen():
                    break
            else:
                self._tell(f"{source.name} ended.")
        except SourceError as error:
            self._tell(str(error))
        source.close()
        self._source = None

    def _hand_over(self, frame: Frame) -> None:
        now = time.monotonic()
        problem = self._look.problem(frame.image, now)
        # The clock of the feed runs on while the source's own starts again at each opening.
        frame = replace(frame, index=self.received, time=now - self._started, captured=now)
        self.received += 1
        size = frame.image.shape[1::-1]
        with self._changed:
            if self._size not in (None, size):
                self._resized = now
            self._size = size
            self.dropped += self._frame is not None
            self._frame, self._trouble, self._last_frame = frame, problem, now
            self._changed.notify()

    def _frozen(self) -> bool:
        """Whether the picture stands still for so long that opening the source again may help."""
        still = self._look.still
        if still == 0:
            self._hangs = HANGS
        if still < self._hangs:
            return False
        self._hangs += min(self._hangs, LONGEST_HANGS)
        return True

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
    """Notices a picture that stays the same to the last pixel, or black.

    still: seconds for which a picture that is not black stays the same.
    """

    def __init__(self):
        self.still = 0.0
        self._last: np.ndarray | None = None
        self._seen = self._changed = self._lit = -np.inf

    def problem(self, image: np.ndarray, now: float) -> str | None:
        # A few thousand pixels tell as much as all of them: a live sensor's noise is everywhere.
        sample = image[:: max(1, image.shape[0] // 48), :: max(1, image.shape[1] // 64)].copy()
        if self._last is None or not np.array_equal(sample, self._last):
            self._changed = now
        # A camera that was just opened may begin in the dark.
        if sample.max() > 24 or now - self._seen > SAME:
            self._lit = now
        self._last, self._seen = sample, now
        self.still = 0.0 if sample.max() <= 24 else now - self._changed
        if now - self._lit > SAME:
            return "the picture is black: is the lens covered?"
        if now - self._changed > SAME:
            return "the picture stands still: the camera hangs"
        return None
