"""The results of several frames, as they are asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from inspect import GEN_RUNNING, getgeneratorstate
from typing import Any, Literal, NoReturn

from realtime.capture import CaptureError
from realtime.pipeline import FacePipeline
from realtime.reading import Reading
from realtime.reference import Reference
from realtime.result import Result, to_df
from realtime.sources.frame import Frame, Source

logger = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds before a camera after which a capture of a resting face is given up."""

ReadFrame = Callable[[Source, FacePipeline, Frame], Result]


class Results(Iterator[Result]):
    """The results of one or several sources, one by one: what calling a reader gives.

    Closing it, leaving its ``with`` block or forgetting it frees the source.

    readings: as :func:`realtime.reading.readings` gives them. read: makes the result of a frame.
    ends: whether a camera is left after some time too.

    >>> from realtime import FaceReader
    >>> with FaceReader() as reader:
    ...     table = reader("tests/data/astronaut.mp4", end=0.1).to_df()
    >>> table[["frame", "id", "label"]].values.tolist()
    [[0, 0, 'happiness'], [1, 0, 'happiness'], [2, 0, 'happiness']]
    """

    def __init__(
        self, readings: Generator[Reading, None, None], read: ReadFrame, ends: bool = False
    ):
        self._readings, self._ends = readings, ends
        # The loop holds no reference to this object, so that forgetting this ends it at once.
        self._at = _At()
        self._loop = _loop(readings, read, self._at)

    def __iter__(self) -> Results:
        return self

    def __next__(self) -> Result:
        return next(self._loop)

    def __getitem__(self, index: object) -> NoReturn:
        raise TypeError(
            "Results come one by one and are not kept: take next(results), or list(results)[0]; of "
            "one picture, reader.read(picture) gives the one result."
        )

    def to_df(self, kind: Literal["pandas", "polars"] = "pandas") -> Any:
        """A data frame of the results that are still to come, one row a face: see
        :func:`realtime.result.to_df`. ValueError for a camera or stream that is read without
        `end`, which would never be done."""
        return to_df(self._all(), kind)

    def capture(self) -> Reference:
        """The reference of the largest face of the first source, which rests for two seconds
        somewhere in it; the source is closed then.

        CaptureError where it does not, with what to do; ReferenceFileError where the model has no
        population."""
        with self:
            reading = next(self._readings, None)
            if reading is None:
                raise CaptureError("No reference was captured: give more frames.")
            if reading.source.still:
                raise CaptureError(
                    "Pictures do not show how a face rests over time: give a camera or video, or "
                    "fps=… beside frames."
                )
            return reading.pipeline.capture(_frames(reading))

    def close(self) -> None:
        """Frees the source. Closing twice is fine. Where another thread asks for a result at this
        moment, the source is freed when that thread has done with it."""
        self._at.left = True
        if GEN_RUNNING not in map(getgeneratorstate, (self._loop, self._readings)):
            self._loop.close()
            self._readings.close()

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _all(self) -> Iterator[Result]:
        for result in self:
            if self._at.live and not self._ends:
                self.close()
                raise ValueError(
                    f"{result.source} has no end of its own: give one, as end=10 for ten seconds."
                )
            yield result


@dataclass(slots=True)
class _At:
    """live: whether the source that is being read is. left: whether nobody wants more of it."""

    live: bool = False
    left: bool = False


def _loop(
    readings: Generator[Reading, None, None], read: ReadFrame, at: _At
) -> Generator[Result, None, None]:
    with closing(readings):
        for reading in readings:
            at.live = reading.source.live
            for frame in _frames(reading, patience=None):
                if at.left:
                    return
                yield read(reading.source, reading.pipeline, frame)


def _frames(reading: Reading, patience: float | None = PATIENCE) -> Iterator[Frame]:
    """The frames of a source, of a live one for `patience` seconds. What is wrong with a live one
    is logged, once for each kind of trouble."""
    told: str | None = None
    for view in reading.views():
        if view.kind != told:
            told = view.kind
            logger.warning("%s: %s", reading.source.name, view.trouble or "back again")
        if reading.source.live and patience is not None and view.time > patience:
            return
        if view.frame is not None:
            yield view.frame
