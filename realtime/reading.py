"""Sources while they are read, one after another: each open, with a pipeline of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from realtime.ahead import read_ahead
from realtime.pipeline import FacePipeline
from realtime.sources.camera import CameraMode
from realtime.sources.frame import Source, SourceError
from realtime.sources.listing import Single
from realtime.sources.live import SILENCE, LiveFeed, View
from realtime.sources.open import open_source
from realtime.sources.part import Part

logger = logging.getLogger(__name__)

MakePipeline = Callable[[bool], FacePipeline]
"""Makes one, for pictures that have nothing to do with each other where its argument is True."""


class Reading:
    """One open source: `source`, the `pipeline` for its frames, and the frames as :meth:`views`.

    Of a file every frame comes, read ahead in a thread; of a camera or stream the newest, as
    :class:`LiveFeed` has it. frames: how many to expect, None where unknown. fault: why the source
    broke off, None while it has not. A context manager that frees all.

    part: of pictures that have nothing to do with each other, `every` alone counts. reopen: opens
    a live source again.
    """

    def __init__(
        self, source: Source, reopen: Callable[[], Source], part: Part, make: MakePipeline
    ):
        self.source = source
        if source.still:
            part = Part(every=part.every)
        self.frames = part.frames(source.frames, source.fps)
        self.fault: str | None = None
        self._part, self._reopen = part, reopen
        with ExitStack() as stack:
            self._owned = stack.enter_context(ExitStack())
            self._owned.callback(source.close)
            self.pipeline = stack.enter_context(make(source.still))
            self._stack = stack.pop_all()

    def views(self) -> Iterator[View]:
        """Until the source ends, breaks off, or nobody asks for more; to be called once."""
        try:
            yield from self._live() if self.source.live else self._ahead()
        except SourceError as error:
            self.fault = str(error)

    def _live(self) -> Iterator[View]:
        feed = self._stack.enter_context(LiveFeed(self.source, self._reopen))
        self._owned.pop_all()  # the feed closes what it reads
        return self._part.of_views(feed)

    def _ahead(self) -> Iterator[View]:
        frames = self._part.of(self.source)
        ahead = self._stack.enter_context(closing(read_ahead(frames)))
        return (View(frame, None) for frame in ahead)

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *exception) -> None:
        self.close()


def readings(
    sources: list[Single], part: Part, camera: CameraMode, make: MakePipeline
) -> Generator[Reading, None, None]:
    """The sources, each open until the next is asked for.

    What cannot be opened or breaks off is left for the end, where SourceError is raised for all.
    """
    faults = []
    for single in sources:
        try:
            source = _open(single, camera)
        except SourceError as error:
            logger.info("%s", error)
            faults.append(str(error))
            continue
        logger.info(
            "%s: %d×%d pixels, %s", source.name, source.width, source.height,
            f"{source.fps:.4g} frames/s" if source.fps else "its frame rate is unknown",
        )  # fmt: skip
        with Reading(source, partial(_open, single, camera), part, make) as reading:
            yield reading
        if reading.fault:
            faults.append(reading.fault)
    if faults:
        more = len(faults) - 1
        others = f" ({more} of the other sources had faults too.)" if more else ""
        raise SourceError(faults[0] + others)


def _open(single: Single, camera: CameraMode) -> Source:
    if isinstance(single, Source):
        return single
    with _patience():
        return open_source(single, camera)


@contextmanager
def _patience() -> Iterator[None]:
    """Says so where a source is slow to open."""
    words = "The source takes its time to open; waiting for it."
    notice = threading.Timer(SILENCE, logger.warning, [words])
    notice.daemon = True
    notice.start()
    try:
        yield
    finally:
        notice.cancel()
