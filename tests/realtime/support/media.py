"""Makes videos, broken and whole, and faces for the tests."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from realtime.faces import Face, HeadPose

UNIT = Fraction(1, 90_000)


def scene(index: int, width: int = 160, height: int = 120) -> np.ndarray:
    """A soft picture that differs in each frame; uint8, RGB."""
    rng = np.random.default_rng(5)
    small = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.roll(image, 5 * index, axis=1)


def write_video(
    path: Path,
    images: Iterable[np.ndarray],
    times: list[float] | None = None,
    codec: str = "libx264",
    movflags: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A plain reference writer, independent of the one under test; 25 frames/s without times."""
    images = list(images)
    flags = {"movflags": movflags} if movflags else {}
    with av.open(str(path), "w", options=flags) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = UNIT
        stamps = times or [index / 25 for index in range(len(images))]
        for image, seconds in zip(images, stamps, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(seconds / UNIT), UNIT
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_empty_video(path: Path) -> Path:
    """A well-formed file with a video stream and not one frame in it."""
    options = {"movflags": "empty_moov"}  # without it, FFmpeg leaves an empty stream out
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    return path


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    return path


def cut(path: Path, share: float) -> Path:
    """A copy that ends after `share` of the bytes."""
    data = path.read_bytes()
    target = path.with_stem(path.stem + "_cut")
    target.write_bytes(data[: int(len(data) * share)])
    return target


def spoil(path: Path, start: float, end: float) -> Path:
    """A copy with noise in place of a part of its bytes."""
    data = bytearray(path.read_bytes())
    first, last = int(len(data) * start), int(len(data) * end)
    data[first:last] = np.random.default_rng(0).bytes(last - first)
    target = path.with_stem(path.stem + "_spoilt")
    target.write_bytes(data)
    return target


def turn(path: Path, quarters: int) -> Path:
    """A copy of an MP4 whose header asks players to turn it clockwise by quarters of a circle."""
    cos, sin = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarters % 4]
    one = 1 << 16
    matrix = struct.pack(">9i", cos * one, sin * one, 0, -sin * one, cos * one, 0, 0, 0, 1 << 30)
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44  # past version, times, track, duration, layer and volume
    data[start : start + len(matrix)] = matrix
    target = path.with_stem(f"{path.stem}_{quarters}")
    target.write_bytes(data)
    return target


def repeat(path: Path, times: int, target: Path) -> Path:
    """A video that plays the one in `path` so many times on end, its packets as they are."""
    with av.open(str(target), "w") as output:
        stream, start = None, 0
        for _ in range(times):
            with av.open(str(path)) as video:
                stream = stream or output.add_stream_from_template(video.streams.video[0])
                for packet in video.demux(video=0):
                    if packet.dts is None:
                        continue
                    packet.pts += start
                    packet.dts += start
                    packet.stream = stream
                    output.mux(packet)
                start += video.streams.video[0].duration
    return target


def make_face(
    center=(80.0, 60.0), size=50.0, label=1, probability=0.9, pose=(0.0, 0.0, 0.0), track_id=0
) -> Face:
    """A face with plausible values around `center`; `pose` is yaw, pitch, roll."""
    center = np.array(center, np.float32)
    expression = np.full(8, (1 - probability) / 7, np.float32)
    expression[label] = probability
    offsets = np.array([[-0.2, -0.12], [0.2, -0.12], [0, 0.08], [-0.16, 0.28], [0.16, 0.28]])
    half = np.array([0.4, 0.5], np.float32) * size
    return Face(
        box=np.concatenate([center - half, center + half]).astype(np.float32),
        score=0.9987654,
        landmarks=(center + size * offsets).astype(np.float32),
        track_id=track_id,
        expression=expression,
        pose=HeadPose(*pose),
    )


def face_at(x: float, y: float, size: float = 60.0) -> Face:
    """A face around a point that nothing is known of but where it is."""
    box = np.array([x - size / 2, y - size / 2, x + size / 2, y + size / 2], np.float32)
    points = np.array([[-0.2, -0.15], [0.2, -0.15], [0, 0.05], [-0.15, 0.25], [0.15, 0.25]])
    return Face(box, 0.99, (points * size + [x, y]).astype(np.float32))


def dots(points) -> np.ndarray:
    """A black picture, 112×112, with a white dot at each of the points (n, 2)."""
    picture = np.zeros((112, 112, 3), np.uint8)
    for x, y in points:
        cv2.circle(picture, (round(float(x)), round(float(y))), 3, (255, 255, 255), -1)
    return picture


def middle(picture) -> tuple[float, float]:
    """Where the white of a picture lies in the mean, x and y."""
    rows, columns = np.nonzero(picture[..., 0] > 127)
    return columns.mean(), rows.mean()
