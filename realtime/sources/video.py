"""Video files and network streams as a source, decoded by FFmpeg through PyAV."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np

from realtime.sources.containers import DECODERS, KINDS, is_local, is_pipe, opening_options
from realtime.sources.frame import Frame, Source, SourceError

_PATIENCE = 10.0  # seconds that a server may take to open
_SILENCE = 5.0  # seconds that it may then be silent: only a new connection ends a broken one
_STREAMS = 16  # that a stranger's file may hold
_SMALL = 1280 * 720  # pixels of a frame that one core decodes in far less time than it is shown
_UNKNOWN = "is neither a video nor a picture that can be read."
_UNTAKEN = f"is neither a video nor a picture of a kind that is taken. Videos: {KINDS}."
_QUARTER_TURNS = {
    1: cv2.ROTATE_90_COUNTERCLOCKWISE,
    2: cv2.ROTATE_180,
    3: cv2.ROTATE_90_CLOCKWISE,
}
_TS_DISCONT: int = av.format.Flags.ts_discont.value  # type: ignore[assignment]
_MATROSKA = "matroska,webm"
# A title in another encoding is no reason to refuse a video, of which PyAV 19 needs no telling.
_METADATA: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
)
_HEADER_KNOWS_LENGTH = {"mov", "matroska"}
"""Formats whose header promises a length; others only have it estimated."""


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """What a video may cost. pixels: of a frame as stored. shown: bytes of a frame as decoded
    above which it is made smaller, to `small` pixels; None for never. strange: a stranger's file,
    which may name no others and use none but the usual decoders, with one frame at a time. threads:
    that decode; None takes as many as help, a stranger's file one."""

    pixels: int = 8192 * 8192
    shown: int | None = None
    small: int = 1280 * 720
    strange: bool = False
    threads: int | None = None

    @property
    def decoding_threads(self) -> int | None:
        return 1 if self.strange else self.threads  # further ones have their own memory


class VideoSource(Source):
    """A video file or stream, decoded by FFmpeg through PyAV.

    Damaged parts of a file are skipped and reported at the end; those of a stream are expected
    (one joins it in the middle) and are only skipped.
    """

    def __init__(self, url: str, name: str, limits: VideoLimits = VideoLimits()):
        self.name = name
        self._url = url
        self._limits = limits
        self._container = _open_container(url, name, limits)
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
        self._check_stream()
        self.live = "://" in self._url and self._container.duration is None
        # Threads that each decode a whole frame hold back a frame each, and cost more than they
        # save where the frames are small.
        small = self._stream.width * self._stream.height <= _SMALL
        slices = self.live or small or self._limits.strange
        self._stream.thread_type = "SLICE" if slices else "AUTO"
        if self._limits.decoding_threads:
            self._stream.codec_context.thread_count = self._limits.decoding_threads
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.fps = float(rate) if rate and rate <= 1000 else None
        self.frames = None if self.live else self._expected_frames()
        self._damaged = 0
        self._broken = False
        self._fault = ""
        self._decoded = self._decode()
        self._first = next(self._decoded, None)
        if self._first is None:
            if not self._stream.width:  # FFmpeg forgets the size that it refuses
                raise SourceError(
                    f"{self.name} holds no frame that can be read: it is damaged, or a frame has "
                    f"more than {self._limits.pixels / 1e6:.0f} million pixels. "
                    "Scale it down, or copy or record it again."
                )
            if self._damaged or self._broken:
                raise SourceError(
                    f"{self.name} breaks off before its first frame. Copy or record it again."
                )
            raise SourceError(f"{self.name} is a video without a single frame.")
        self._measure(self._picture(self._first))

    def __iter__(self) -> Iterator[Frame]:
        step = 1 / self.fps if self.fps else 0.04
        jumps = bool(self._container.format.flags & _TS_DISCONT)
        clock = _Clock(self._stream.time_base or Fraction(1, av.time_base), step, jumps)
        index = -1
        for index, picture in enumerate(self._from_first()):
            image = self._picture(picture)
            yield Frame(image, index, clock.read(picture.pts, picture.duration))
        self._report_break(index + 1, clock)

    def close(self) -> None:
        self._container.close()

    def _check_stream(self) -> None:
        """Before the first frame is decoded: a few bytes may hold a very large one."""
        stream, context = self._stream, self._stream.codec_context
        if context is None or (self._limits.strange and context.codec.name not in DECODERS):
            kind = f" ({context.codec.name})" if context else ""
            raise SourceError(
                f"{self.name} is stored in a way that is not taken{kind}. Save it as H.264 in MP4."
            )
        if stream.width * stream.height > self._limits.pixels:
            raise SourceError(
                f"{self.name} has {stream.width}×{stream.height} pixels; at most "
                f"{self._limits.pixels / 1e6:.0f} million a frame are taken. "
                "Scale it down and try again."
            )
        # Later frames may have another size, which is looked at before they are decoded.
        context.options = {"max_pixels": str(self._limits.pixels)}

    def _picture(self, frame: av.VideoFrame) -> np.ndarray:
        """uint8 H×W×3, RGB, contiguous, upright."""
        width, height = frame.width, frame.height
        if self.made_smaller(frame):
            scale = (self._limits.small / (width * height)) ** 0.5
            width, height = (max(1, round(side * scale / 2) * 2) for side in (width, height))
        threads = self._limits.decoding_threads
        pixels = frame.to_ndarray(format="rgb24", width=width, height=height, threads=threads)
        image = np.ascontiguousarray(pixels, np.uint8)  # odd rows come with a gap
        turns = round(frame.rotation / 90) % 4
        return cv2.rotate(image, _QUARTER_TURNS[turns]) if turns else image

    def made_smaller(self, frame: av.VideoFrame) -> bool:
        """Whether the limits ask for a smaller picture than the frame as stored."""
        shown, pixels = self._limits.shown, frame.width * frame.height
        if shown is None or pixels <= self._limits.small:
            return False
        bits = frame.format.padded_bits_per_pixel or 24
        return pixels * bits / 8 > shown

    def _from_first(self) -> Iterator[av.VideoFrame]:
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        yield from self._decoded

    def _decode(self) -> Iterator[av.VideoFrame]:
        for packet in self._packets():
            try:
                pictures = self._stream.decode(packet)
            except MemoryError:
                raise
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
        seconds = self._stored_seconds()
        if seconds is None:
            seconds = (self._container.duration or 0) / av.time_base - self._lead()
        # The header of a fragmented file counts the first fragment only.
        return max(self._stream.frames, round(seconds * (self.fps or 0))) or None

    def _promised_seconds(self) -> float | None:
        if self._container.format.name.split(",")[0] not in _HEADER_KNOWS_LENGTH:
            return None
        if (seconds := self._stored_seconds()) is not None:
            return seconds
        tag = self._stream.metadata.get("DURATION", "")
        if length := re.match(r"(\d+):(\d+):(\d+(?:\.\d+)?)", tag):
            hours, minutes, seconds = map(float, length.groups())
            return hours * 3600 + minutes * 60 + seconds - self._lead()
        return None

    def _stored_seconds(self) -> float | None:
        """How long the stream itself says that it is."""
        stream = self._stream
        if stream.duration is None or stream.time_base is None:
            return None
        return float(stream.duration * stream.time_base)

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


def _open_container(url: str, name: str, limits: VideoLimits) -> av.container.InputContainer:
    options = {"rtsp_transport": "tcp"} if url.startswith("rtsp") else {}
    options |= opening_options(url, playlists=not limits.strange)
    options["max_pixels"] = str(limits.pixels)
    if limits.strange:
        options |= {"codec_whitelist": ",".join(DECODERS), "max_streams": str(_STREAMS)}
    # Who writes into a pipe may take the time it likes.
    timeout = None if is_local(url) or is_pipe(url) else (_PATIENCE, _SILENCE)
    try:
        return av.open(url, options=options, timeout=timeout, **_METADATA)
    except av.error.InvalidDataError:
        raise SourceError(f"{name} {_why_unreadable(url)}") from None
    except av.error.ArgumentError:  # the format is not among those allowed
        raise SourceError(f"{name} {_UNTAKEN}") from None
    except av.error.FFmpegError as error:
        raise SourceError(f"{name} could not be opened: {_reason(error, _PATIENCE)}.") from None


def _reason(error: av.error.FFmpegError, patience: float) -> str:
    if isinstance(error, av.error.ExitError):  # how PyAV reports that the time given has passed
        return f"no answer within {patience:.0f} s"
    return error.strerror or str(error)


def _why_unreadable(url: str) -> str:
    if is_local(url):
        with open(url.removeprefix("file:"), "rb") as file:
            if file.read(12)[4:8] == b"ftyp":
                return (
                    "is an MP4 that was cut off before its index (moov), so no frame can be "
                    "read. Copy or record it again."
                )
    return _UNKNOWN
