"""Some fifty pictures and videos that are small to send and large to open."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import cv2
from PIL import Image

from tests.realtime.hostile.costly import COSTLY
from tests.realtime.support.media import scene, write_video
from tests.realtime.support.playlists import hls

_KEPT = {"preset": "ultrafast", "x264-params": "ref=16:bframes=0:keyint=250:scenecut=0"}
"""Options for H.264 whose decoder must keep sixteen pictures."""


def _saved(kind: str, mode: str, size: tuple[int, int], **options) -> bytes:
    data = BytesIO()
    Image.new(mode, size).save(data, kind, **options)
    return data.getvalue()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, depth: int, colour: int, row: bytes, laced: int = 0) -> bytes:
    """Rows that are all the same."""
    packer = zlib.compressobj(9)
    parts = [packer.compress((b"\0" + row) * 64) for _ in range(height // 64)]
    data = b"".join(parts) + packer.compress((b"\0" + row) * (height % 64)) + packer.flush()
    head = struct.pack(">2I5B", width, height, depth, colour, 0, 0, laced)
    chunks = _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _interlaced_png(side: int) -> bytes:
    """RGBA in seven passes."""
    steps = ((8, 8, 0, 0), (8, 8, 4, 0), (4, 8, 0, 4), (4, 4, 2, 0))
    steps += ((2, 4, 0, 2), (2, 2, 1, 0), (1, 2, 0, 1))
    packer, data = zlib.compressobj(9), []
    for across, down, left, top in steps:
        row = b"\0" * (1 + 4 * -(-(side - left) // across))
        data += [packer.compress(row) for _ in range(-(-(side - top) // down))]
    data.append(packer.flush())
    head = struct.pack(">2I5B", side, side, 8, 6, 0, 0, 1)
    chunks = _chunk(b"IHDR", head) + _chunk(b"IDAT", b"".join(data)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _after_header(png: bytes, *chunks: bytes) -> bytes:
    return png[:33] + b"".join(chunks) + png[33:]


def _many_passes() -> bytes:
    data = _saved("JPEG", "RGB", (5000, 5000), progressive=True)
    start = data.rindex(b"\xff\xda")
    return data[:start] + data[start:-2] * 5000 + data[-2:]


def _large_tile() -> bytes:
    """16×16 pixels, of a tile with 16 384×16 384."""
    data = zlib.compress(b"\0" * (1 << 20))
    tags = [(256, 16), (257, 16), (258, 8), (259, 8), (262, 1), (277, 1), (322, 16_384)]
    tags += [(323, 16_384), (324, 8 + 2 + 12 * 10 + 4), (325, len(data))]
    entries = b"".join(struct.pack("<2H2I", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0" * 4 + data


def _run_length_bmp(side: int) -> bytes:
    rows = (b"\x01\x00" * side + b"\0\0") * side
    head = struct.pack("<3I2H6I", 40, side, side, 1, 8, 1, len(rows), 0, 0, 1, 0) + b"\0" * 4
    return (
        b"BM" + struct.pack("<I2HI", 14 + len(head) + len(rows), 0, 0, 14 + len(head)) + head + rows
    )


def _moving(path: Path, size, frames: int, codec="libx264", options=None, pixels="yuv420p") -> None:
    images = [cv2.resize(scene(index), size) for index in range(frames)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _flat(path: Path, side: int, codec: str, pixels: str) -> None:
    """One frame of one colour."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = side, side, pixels
        frame = av.VideoFrame(side, side, pixels)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _patched(path: Path, *changes: tuple[bytes, int, int], **options) -> None:
    """A small MP4 with numbers of 32 bits put so many bytes after the names of its boxes."""
    write_video(path, [scene(index) for index in range(5)], **options)
    data = bytearray(path.read_bytes())
    for name, offset, value in changes:
        start = data.index(name) + 4 + offset
        data[start : start + 4] = struct.pack(">I", value)
    path.write_bytes(data)


def _growing(path: Path) -> None:
    """Small pictures, then large ones, as a broadcast may have them."""
    small = write_video(path.with_name("small.ts"), [scene(index) for index in range(3)])
    images = [cv2.resize(scene(index), (7680, 4320)) for index in range(2)]
    large = write_video(path.with_name("large.ts"), images, options={"preset": "ultrafast"})
    path.write_bytes(small.read_bytes() + large.read_bytes())


def _many_streams(path: Path) -> None:
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("mjpeg", rate=25) for _ in range(400)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for stream in streams:
            frame = av.VideoFrame(64, 48, "yuvj420p")
            frame.pts, frame.time_base = 0, Fraction(1, 25)
            container.mux(stream.encode(frame))


def _one_packet(path: Path) -> None:
    """A frame of 180 MB, all zeros."""
    write_video(path, [scene(0)], movflags="faststart")
    data, more = bytearray(path.read_bytes()), 180_000_000
    for name, offset in ((b"stsz", 4), (b"stsz", 12)):
        start = data.index(name) + 4 + offset
        if struct.unpack(">I", data[start : start + 4])[0]:
            data[start : start + 4] = struct.pack(">I", more)
    start = data.rindex(b"mdat") - 4
    data[start : start + 4] = struct.pack(">I", more + 8)
    path.write_bytes(data)
    with path.open("r+b") as file:
        file.truncate(len(data) + more)


def _fast(path: Path) -> None:
    """A frame every 0.1 ms."""
    images = [cv2.resize(scene(0), (64, 48))] * 45_000
    times = [index * 1e-4 for index in range(len(images))]
    write_video(path, images, times, options={"preset": "ultrafast"})


def _bytes(make: Callable[[], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(make())


_TEXT = zlib.compress(b"\0" * 300_000_000, 9)

PICTURES = {
    "rgba.png": (
        "49 million transparent pixels",
        _bytes(lambda: _saved("PNG", "RGBA", (7000, 7000))),
    ),
    "rgba16.png": (
        "49 million, 16 bits, transparent",
        _bytes(lambda: _png(7000, 7000, 16, 6, b"\0" * 56_000)),
    ),
    "one-bit.png": (
        "400 million of one bit",
        _bytes(lambda: _png(20_000, 20_000, 1, 0, b"\0" * 2500)),
    ),
    "laced.png": ("49 million, interlaced", _bytes(lambda: _interlaced_png(7000))),
    "huge.png": ("claims 4 billion", _bytes(lambda: _png(65_000, 65_000, 8, 6, b"\0" * 64)[:2000])),
    "twice.png": (
        "a second header of 900 million",
        _bytes(
            lambda: _after_header(
                _saved("PNG", "RGB", (640, 480)),
                _chunk(b"IHDR", struct.pack(">2I5B", 30_000, 30_000, 8, 2, 0, 0, 0)),
            )
        ),
    ),
    "text.png": (
        "300 MB of text in 20 chunks",
        _bytes(
            lambda: _after_header(
                _saved("PNG", "RGB", (640, 480)), *[_chunk(b"zTXt", b"a\0\0" + _TEXT)] * 20
            )
        ),
    ),
    "profile.png": (
        "a colour profile of 300 MB",
        _bytes(
            lambda: _after_header(
                _saved("PNG", "RGB", (640, 480)), _chunk(b"iCCP", b"a\0\0" + _TEXT)
            )
        ),
    ),
    "animated.png": (
        "40 pictures of 16 million",
        lambda path: Image.new("RGBA", (4000, 4000)).save(
            path,
            save_all=True,
            append_images=[Image.new("RGBA", (4000, 4000), i) for i in range(1, 5)] * 8,
        ),
    ),
    "plain.jpg": ("49 million", _bytes(lambda: _saved("JPEG", "RGB", (7000, 7000)))),
    "progressive.jpg": (
        "49 million, in passes",
        _bytes(lambda: _saved("JPEG", "RGB", (7000, 7000), progressive=True, subsampling=0)),
    ),
    "passes.jpg": (
        "30 million, in passes",
        _bytes(lambda: _saved("JPEG", "RGB", (5480, 5480), progressive=True, subsampling=0)),
    ),
    "cmyk.jpg": (
        "25 million of four colours, in passes",
        _bytes(lambda: _saved("JPEG", "CMYK", (5000, 5000), progressive=True)),
    ),
    "5000.jpg": ("25 million, in 5 000 passes", _bytes(_many_passes)),
    "lossless.webp": (
        "12 million, lossless, transparent",
        _bytes(lambda: _saved("WEBP", "RGBA", (3500, 3500), lossless=True, quality=0, method=0)),
    ),
    "large.webp": (
        "268 million",
        _bytes(lambda: _saved("WEBP", "RGB", (16_383, 16_383), lossless=True, quality=0, method=0)),
    ),
    "strip.tif": (
        "14 million in one strip, on its side",
        _bytes(
            lambda: _saved(
                "TIFF",
                "RGBA",
                (3800, 3600),
                compression="tiff_deflate",
                tiffinfo={278: 3600, 274: 6},
            )
        ),
    ),
    "tile.tif": ("16×16 of a tile of 268 million", _bytes(_large_tile)),
    "runs.bmp": ("16 million, run by run", _bytes(lambda: _run_length_bmp(4000))),
    "text.ppm": ("12 million as text", _bytes(lambda: b"P3 4000 3000 255\n" + b"0 " * 36_000_000)),
    **{
        name: (what, _bytes(COSTLY[what]))
        for name, what in {
            "chunks.png": "a PNG of empty chunks",
            "pixels.png": "a PNG of empty pixels",
            "pieces.png": "a PNG of large chunks",
            "exif.png": "EXIF in a PNG",
            "exif.jpg": "EXIF in a JPEG",
            "exifs.jpg": "EXIF in pieces",
            "exif.webp": "EXIF in a WebP",
            "tags.tif": "a TIFF",
            "other.tif": "a TIFF the other way round",
            "places.tif": "a TIFF of places",
            "comment.ppm": "a PPM of comments",
        }.items()
    },
}
"""File name → what it is, and what writes it."""

VIDEOS = {
    "mjpeg.avi": ("a frame of 100 million", lambda path: _flat(path, 10_000, "mjpeg", "yuvj420p")),
    "png.mov": ("a frame of 100 million, PNG", lambda path: _flat(path, 10_000, "png", "rgba")),
    "large.gif": ("a frame of 100 million, GIF", lambda path: _flat(path, 10_000, "gif", "rgb8")),
    "growing.ts": ("frames grow to 33 million", _growing),
    "hd16.mp4": (
        "Full HD, 16 pictures kept",
        lambda path: _moving(path, (1920, 1080), 30, options=_KEPT),
    ),
    "deep16.mp4": (
        "Full HD, 10 bits, 4:4:4, 16 kept",
        lambda path: _moving(path, (1920, 1080), 30, options=_KEPT, pixels="yuv444p10le"),
    ),
    "4k16.mp4": (
        "4K, 16 pictures kept",
        lambda path: _moving(path, (3840, 2160), 30, options=_KEPT),
    ),
    "4k.webm": (
        "4K, VP9",
        lambda path: _moving(
            path, (3840, 2160), 8, "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}
        ),
    ),
    "8k.mkv": ("8K, 16 bits, lossless", lambda path: _flat(path, 5000, "ffv1", "gbrp16le")),
    "samples.mp4": (
        "claims 160 million frames",
        lambda path: _patched(
            path,
            *((b"stsz", 4, 1), (b"stsz", 8, 160_000_000), (b"stts", 8, 160_000_000)),
            (b"stsc", 12, 160_000_000),
        ),
    ),
    "fragments.mp4": (
        "claims 100 million frames in a fragment",
        lambda path: _patched(
            path,
            *((b"trun", 0, 1), (b"trun", 4, 100_000_000)),
            movflags="frag_keyframe+empty_moov+default_base_moof",
        ),
    ),
    "streams.mkv": ("400 streams", _many_streams),
    "packet.mp4": ("a frame of 180 MB", _one_packet),
    "fast.mp4": ("45 000 frames in 4.5 s", _fast),
    "years.mkv": (
        "two frames, a year apart",
        lambda path: write_video(path, [scene(0), scene(1)], [0.0, 3e7]),
    ),
    "list.mp4": ("a playlist", lambda path: path.write_text(hls("/etc/passwd")) and None),
}
"""File name → what it is, and what writes it."""
