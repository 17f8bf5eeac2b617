"""Writers for what the pipeline saw: drawn video, JSONL and CSV. All are context managers.

Whatever ends the program, even kill -9 or a full disk, what was written before stays readable.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace

from realtime.faces import EXPRESSIONS, LANDMARKS, Face
from realtime.source import Frame

_TICKS = 90_000  # time stamps per second, as in broadcasting: all usual frame rates fit
_SHORTEST = _TICKS // 1000  # WebM keeps milliseconds
_LONGEST = 3600 * _TICKS  # MP4 has 32 bits for how long a picture stays: 13 hours


class SinkError(Exception):
    """An output cannot be written. The message is one line that tells the fix."""


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
        _open(self._path).close()
        try:
            self._container = av.open(f"file:{path}", "w", options=container_options)
        except av.error.FFmpegError as error:
            raise self._error(error) from None
        try:
            rate = Fraction(fps).limit_denominator(1001)
            self._stream = self._container.add_stream(codec, rate=rate, options=codec_options)
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
        while ticks - self._last > _LONGEST:
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
        return SinkError(_unwritable(self._path, error.strerror))


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


class JsonlSink:
    """Writes one JSON object a line, one line a frame; a frame without faces has an empty list.

    Pixels are rounded to 2 decimals, probabilities to 4, degrees to 1, seconds to 6. `id`,
    `expression` and `pose` are null where the face has none. `label` is the expression shown, which
    is held while another leads by little: its probability is the one under its name, not always the
    largest. Raises :class:`SinkError`.
    """

    def __init__(self, path: str | Path):
        self._file = _LineFile(path)

    def write(self, frame: Frame, faces: list[Face]) -> None:
        line = {
            "frame": frame.index,
            "time": round(frame.time, 6),
            "faces": [face_record(face) for face in faces],
        }
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> JsonlSink:
        return self

    def __exit__(self, *exception) -> None:
        self.close()


def face_record(face: Face) -> dict:
    """What :class:`JsonlSink` writes of one face, ready for JSON."""
    expression = pose = None
    if face.expression is not None:
        values = _rounded(face.expression, 4)
        expression = {
            "label": face.label,
            "probabilities": dict(zip(EXPRESSIONS, values, strict=True)),
        }
    if face.pose is not None:
        angles = (face.pose.yaw, face.pose.pitch, face.pose.roll)
        pose = dict(zip(("yaw", "pitch", "roll"), _rounded(angles, 1), strict=True))
    return {
        "id": face.track_id,
        "box": _rounded(face.box, 2),
        "score": round(float(face.score), 4),
        "landmarks": [_rounded(point, 2) for point in face.landmarks],
        "expression": expression,
        "pose": pose,
    }


class CsvSink:
    """Writes one row a face under a header line, rounded as in :class:`JsonlSink`.

    Columns: frame, time, id, x1, y1, x2, y2, score, two for each landmark (left_eye_x, …), label,
    one for each expression, yaw, pitch, roll. What a face lacks stays empty; a frame without
    faces has no row. Raises :class:`SinkError`.
    """

    COLUMNS = (
        *("frame", "time", "id", "x1", "y1", "x2", "y2", "score"),
        *(f"{name.replace(' ', '_')}_{axis}" for name in LANDMARKS for axis in "xy"),
        *("label", *EXPRESSIONS, "yaw", "pitch", "roll"),
    )

    def __init__(self, path: str | Path):
        self._file = _LineFile(path)
        try:
            self._write_rows([self.COLUMNS])
        except BaseException:
            self.close()
            raise

    def write(self, frame: Frame, faces: list[Face]) -> None:
        if faces:
            self._write_rows([_as_row(frame, face) for face in faces])

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> CsvSink:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _write_rows(self, rows) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._file.write(text.getvalue())


class _LineFile:
    """A text file that only ever holds whole lines."""

    def __init__(self, path: str | Path):
        self._path = Path(path)
        self._file = _open(self._path)

    def write(self, lines: str) -> None:
        data, written = lines.encode(), 0
        try:
            while written < len(data):  # on a full disk the write after a short one fails
                written += self._file.write(data[written:])
        except BrokenPipeError:
            raise  # a pipe's reader has seen enough: no fault of a file
        except OSError as error:
            self._take_back(written - (data.rfind(b"\n", 0, written) + 1))
            raise SinkError(_unwritable(self._path, error.strerror)) from None

    def close(self) -> None:
        self._file.close()

    def _take_back(self, size: int) -> None:
        """Cuts off the last bytes, which are a part of a line; what a pipe has is gone."""
        if self._path.is_file():
            self._file.truncate(self._file.tell() - size)


def _open(path: Path) -> io.FileIO:
    """Opens a file for writing without a buffer, so that one write is one line on the disk."""
    if path.is_dir():
        raise SinkError(f"{path} is a folder. Give the name of a file.")
    if not path.parent.exists():
        raise SinkError(f"{path} cannot be written: create the folder {path.parent} first.")
    try:
        return open(path, "wb", buffering=0)
    except OSError as error:
        raise SinkError(_unwritable(path, error.strerror)) from None


def _unwritable(path: Path, reason: str) -> str:
    return f"{path} cannot be written: {reason}. Make room or choose another place."


def _as_row(frame: Frame, face: Face) -> list:
    record = face_record(face)
    expression, pose = record["expression"], record["pose"]
    return [
        *(frame.index, round(frame.time, 6), record["id"], *record["box"], record["score"]),
        *(value for point in record["landmarks"] for value in point),
        expression and expression["label"],
        *(expression["probabilities"].values() if expression else [None] * len(EXPRESSIONS)),
        *(pose.values() if pose else [None] * 3),
    ]


def _rounded(values: Iterable[float], digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]


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
