"""Video files and network streams as a source, decoded by FFmpeg through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import cv2
import numpy as np

from realtime.source import Frame, Source, SourceError

_PATIENCE = 10.0  # seconds that a server may take to open
_SILENCE = 5.0  # seconds that it may then be silent: only a new connection ends a broken one
_SMALL = 1280 * 720  # pixels of a frame that one core decodes in far less time than it is shown
_UNKNOWN = "is neither a video nor a picture that can be read."
_QUARTER_TURNS = {
    1: cv2.ROTATE_90_COUNTERCLOCKWISE,
    2: cv2.ROTATE_180,
    3: cv2.ROTATE_90_CLOCKWISE,
}
_MATROSKA = "matroska,webm"
_HEADER_KNOWS_LENGTH = {"mov", "matroska"}
"""Formats whose header promises a length; others only have it estimated."""


class VideoSource(Source):
    """A video file or stream, decoded by FFmpeg through PyAV.

    Damaged parts of a file are skipped and reported at the end; those of a stream are expected
    (one joins it in the middle) and are only skipped.
    """

    def __init__(self, url: str, name: str):
        self.name = name
        self._url = url
        self._container = _open_container(url, name)
        try:
            self._start()
        except BaseException:
            self._container.close()
            raise

    def _start(self) -> None:
        if not self._container.streams.video:
            if self._container.streams:
                raise SourceError(f"{self.name} holds no video stream, only sound or data.")
            raise SourceError(f"{self.name} is a video without a single frame.")
        self._stream = self._container.streams.video[0]
        self.live = "://" in self._url and self._container.duration is None
        # Threads that each decode a whole frame hold back a frame each, and cost more than they
        # save where the frames are small.
        small = self._stream.width * self._stream.height <= _SMALL
        self._stream.thread_type = "SLICE" if self.live or small else "AUTO"
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.fps = float(rate) if rate and rate <= 1000 else None
        self.frames = None if self.live else self._expected_frames()
        self._damaged = 0
        self._broken = False
        self._fault = ""
        self._decoded = self._decode()
        self._first = next(self._decoded, None)
        if self._first is None:
            if self._container.format.name == "image2":  # FFmpeg went by the name alone
                raise SourceError(f"{self.name} {_UNKNOWN}")
            if self._damaged or self._broken:
                raise SourceError(
                    f"{self.name} breaks off before its first frame. Copy or record it again."
                )
            raise SourceError(f"{self.name} is a video without a single frame.")
        self._measure(_upright(self._first))

    def __iter__(self) -> Iterator[Frame]:
        step = 1 / self.fps if self.fps else 0.04
        jumps = bool(self._container.format.flags & av.format.Flags.ts_discont.value)
        clock = _Clock(self._stream.time_base, step, jumps)
        index = -1
        for index, picture in enumerate(self._from_first()):
            yield Frame(_upright(picture), index, clock.read(picture.pts, picture.duration))
        self._report_break(index + 1, clock)

    def close(self) -> None:
        self._container.close()

    def _from_first(self) -> Iterator[av.VideoFrame]:
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        yield from self._decoded

    def _decode(self) -> Iterator[av.VideoFrame]:
        for packet in self._packets():
            try:
                pictures = self._stream.decode(packet)
            except av.error.FFmpegError:
                self._damaged += 1
                continue
            yield from pictures

    def _packets(self) -> Iterator[av.Packet | None]:
        """The whole packets, then None, at which the decoder hands out what it held back."""
        try:
            for packet in self._container.demux(self._stream):
                if not packet.size:  # PyAV's own mark of the end
                    continue
                self._broken = packet.is_corrupt  # at the end: was the last one cut?
                if packet.is_corrupt:
                    self._damaged += 1
                else:
                    yield packet
        except av.error.FFmpegError as error:
            self._broken, self._fault = True, _reason(error, _SILENCE)
        yield None

    def _expected_frames(self) -> int | None:
        if self._stream.duration is not None:
            seconds = float(self._stream.duration * self._stream.time_base)
        else:
            seconds = (self._container.duration or 0) / av.time_base - self._lead()
        # The header of a fragmented file counts the first fragment only.
        return max(self._stream.frames, round(seconds * (self.fps or 0))) or None

    def _promised_seconds(self) -> float | None:
        if self._container.format.name.split(",")[0] not in _HEADER_KNOWS_LENGTH:
            return None
        if self._stream.duration is not None:
            return float(self._stream.duration * self._stream.time_base)
        if tag := self._stream.metadata.get("DURATION"):
            hours, minutes, seconds = tag.split(":")
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds) - self._lead()
        return None

    def _lead(self) -> float:
        """Seconds that a length holds before the first frame: that of Matroska counts from 0."""
        start = self._container.start_time or 0
        return start / av.time_base if self._container.format.name == _MATROSKA else 0.0

    def _report_break(self, count: int, clock: _Clock) -> None:
        """Raises SourceError where frames are missing. FFmpeg itself often stops in silence.

        A file is compared with the length that its header promises, with half a second to
        spare: the last frames of whole files are often a little off.
        """
        promised, end = self._promised_seconds(), clock.end
        cut = promised is not None and promised - end > max(0.5, 2 * clock.longest)
        if self.live:
            why = self._fault or "the other side ended it"
            raise SourceError(f"{self.name} broke off after {count} frames ({end:.2f} s): {why}.")
        if self._broken or cut:
            of = f" of {promised:.2f} s" if cut else ""
            raise SourceError(
                f"{self.name} breaks off after {count} frames ({end:.2f} s{of}). "
                "Copy or record it again; everything up to there was read."
            )
        if self._damaged:
            raise SourceError(
                f"{self.name} is damaged in {self._damaged} places; the other {count} frames "
                "were read. Copy or record it again."
            )


class _Clock:
    """Seconds since the first frame, always rising, even where time stamps lack or jump back.

    jumps: the format allows its time stamps to begin anew anywhere, as broadcasts do, so that a
    jump ahead by more than an hour is none in time.
    """

    BACK, AHEAD = -1.0, 3600.0

    def __init__(self, unit: Fraction, step: float, jumps: bool = False):
        self._unit = unit
        self._step = step
        self._ahead = self.AHEAD if jumps else float("inf")
        self._start: float | None = None
        self._last: float | None = None
        self.longest = 0.0  # between two frames
        self.end = 0.0  # when the last frame ceases to be shown

    def read(self, stamp: int | None, duration: int) -> float:
        expected = 0.0 if self._last is None else self._last + self._step
        now = expected
        if stamp is not None:
            stamped = float(stamp * self._unit)
            if self._start is None or self._begins_anew(stamped - self._start):
                self._start = stamped - expected
            now = stamped - self._start
        if self._last is not None:
            now = now if now > self._last else expected
            self.longest = max(self.longest, now - self._last)
        self._last = now
        self.end = now + (float(duration * self._unit) if duration else self._step)
        return now

    def _begins_anew(self, now: float) -> bool:
        return self._last is not None and not self.BACK < now - self._last < self._ahead


def _open_container(url: str, name: str) -> av.container.InputContainer:
    options = {"rtsp_transport": "tcp"} if url.startswith("rtsp") else {}
    timeout = None if url.startswith("file:") else (_PATIENCE, _SILENCE)
    try:
        return av.open(url, options=options, timeout=timeout)
    except av.error.InvalidDataError:
        raise SourceError(f"{name} {_why_unreadable(url)}") from None
    except av.error.FFmpegError as error:
        raise SourceError(f"{name} could not be opened: {_reason(error, _PATIENCE)}.") from None


def _reason(error: av.error.FFmpegError, patience: float) -> str:
    if isinstance(error, av.error.ExitError):  # how PyAV reports that the time given has passed
        return f"no answer within {patience:.0f} s"
    return error.strerror


def _why_unreadable(url: str) -> str:
    if url.startswith("file:"):
        with open(url.removeprefix("file:"), "rb") as file:
            if file.read(12)[4:8] == b"ftyp":
                return (
                    "is an MP4 that was cut off before its index (moov), so no frame can be "
                    "read. Copy or record it again."
                )
    return _UNKNOWN


def _upright(picture: av.VideoFrame) -> np.ndarray:
    image = np.ascontiguousarray(picture.to_ndarray(format="rgb24"))  # odd rows come with a gap
    turns = round(picture.rotation / 90) % 4
    return cv2.rotate(image, _QUARTER_TURNS[turns]) if turns else image
