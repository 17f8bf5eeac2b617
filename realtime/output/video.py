"""The drawn video.

Whatever ends the program, even kill -9 or a full disk, what was written before stays readable.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace

from realtime.ahead import WriteBehind
from realtime.output.files import SinkError, open_for_writing, unwritable

_TICKS = 90_000  # time stamps per second, as in broadcasting: all usual frame rates fit
_SHORTEST = _TICKS // 1000  # WebM keeps milliseconds
_LONGEST = 3600 * _TICKS  # MP4 has 32 bits for how long a picture stays: 13 hours


class VideoSink:
    """Writes H.264 (.mp4) or VP9 (.webm) that browsers play.

    width, height: in pixels; an odd one grows by a repeated row or column, as the codecs store
    colour in 2×2 blocks. fps: the usual rate, which decides how long the last picture stays and
    that there is a key frame about every second; the other pictures last until the next one.

    A killed run leaves all but about the last second: MP4 is written in fragments, which the
    index replaces when the file is closed, and WebM in short clusters. Raises :class:`SinkError`.
    """

    def __init__(self, path: str | Path, width: int, height: int, fps: float):
        self._path = Path(path)
        if self._path.suffix.lower() not in _FORMATS:
            raise SinkError(
                f"{path} has no video format that can be written. "
                f"Give a name that ends in {' or '.join(_FORMATS)}."
            )
        codec, codec_options, container_options = _FORMATS[self._path.suffix.lower()]
        self._size = (width + width % 2, height + height % 2)
        self._length = max(_SHORTEST, round(_TICKS / fps))
        self._start: float | None = None
        self._last = -_SHORTEST
        self._picture: av.VideoFrame | None = None
        self._failed = self._closed = False
        open_for_writing(self._path).close()
        try:
            self._container = av.open(f"file:{path}", "w", options=container_options)
        except av.error.FFmpegError as error:
            raise self._error(error) from None
        try:
            rate = Fraction(fps).limit_denominator(1001)
            stream = self._container.add_stream(codec, rate=rate, options=codec_options)
            assert isinstance(stream, av.VideoStream)
            self._stream = stream
            self._set_up(self._stream.codec_context, fps)
        except BaseException:
            self.close()
            raise

    def write(self, image: np.ndarray, time: float) -> None:
        """Adds a picture: uint8 H×W×3, RGB; time in seconds by any clock, the first becomes 0.

        A picture of another size is fitted in on black. A time not after the last one moves up. A
        picture that stays for hours is written again every hour.
        """
        if self._start is None:
            self._start = time
        ticks = max(round((time - self._start) * _TICKS), self._last + _SHORTEST)
        while self._picture is not None and ticks - self._last > _LONGEST:
            self._encode_at(self._last + _LONGEST, self._picture)
        whole = np.ascontiguousarray(_fitted(image, self._size))
        self._picture = av.VideoFrame.from_numpy_buffer(whole, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709
        )
        self._encode_at(ticks, self._picture)

    def close(self) -> None:
        """Writes what the encoder holds back, then the index. Further calls do nothing.

        A video without a picture is no video: its file is removed.
        """
        if self._closed:
            return
        self._closed = True
        if self._start is None:
            self._container.close()
            self._path.unlink(missing_ok=True)
            return
        try:
            if not self._failed:
                self._encode(None)
        finally:
            self._close_container()

    def __enter__(self) -> VideoSink:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _set_up(self, context, fps: float) -> None:
        context.width, context.height = self._size
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, _TICKS)
        context.gop_size = max(1, round(fps))
        context.max_b_frames = 0
        # Untagged colours are guessed from the picture size, differently by each player.
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
        context.color_range = 1  # limited

    def _close_container(self) -> None:
        try:
            self._container.close()
        except av.error.FFmpegError as error:
            if not self._failed:
                raise self._error(error) from None

    def _encode_at(self, ticks: int, picture: av.VideoFrame) -> None:
        picture.pts, picture.time_base = ticks, Fraction(1, _TICKS)
        self._last = ticks
        self._encode(picture)

    def _encode(self, frame: av.VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(frame):
                packet.duration = self._length
                self._container.mux(packet)
        except av.error.FFmpegError as error:
            self._failed = True
            raise self._error(error) from None

    def _error(self, error: av.error.FFmpegError) -> SinkError:
        return SinkError(unwritable(self._path, error.strerror))


class BackgroundVideo:
    """A video sink that encodes in a thread of its own; a context manager."""

    def __init__(self, sink: VideoSink):
        self._sink = sink
        self.write = WriteBehind(sink.write)

    def close(self) -> None:
        try:
            self.write.close()
        finally:
            self._sink.close()

    def __enter__(self) -> BackgroundVideo:
        return self

    def __exit__(self, *exception) -> None:
        self.close()


_FORMATS = {
    ".mp4": (
        "libx264",
        {"preset": "veryfast", "tune": "zerolatency", "crf": "20"},
        {"movflags": "hybrid_fragmented+frag_keyframe", "flush_packets": "1"},
    ),
    ".webm": (
        "libvpx-vp9",
        {"deadline": "realtime", "cpu-used": "7", "row-mt": "1", "crf": "30", "b": "0"},
        {"cluster_time_limit": "1000", "flush_packets": "1"},
    ),
}
"""By file name: codec, its options, the container's options."""


def _fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image at `size` (width, height): one row or column repeated, else scaled onto black."""
    (width, height), (rows, columns) = size, image.shape[:2]
    right, below = width - columns, height - rows
    if right in (0, 1) and below in (0, 1):
        if right or below:
            return cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        return image
    scale = min(width / columns, height / rows)
    inner = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, inner, interpolation=method)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[top : top + inner[1], left : left + inner[0]] = small
    return canvas
