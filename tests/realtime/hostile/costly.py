"""Small files that would cost much before a pixel is decoded."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

from PIL import Image

from realtime.sources.picture_head import MOST_HEAD, MOST_PIECES

SAMPLE = Image.linear_gradient("L").resize((64, 64)).convert("RGB")


def saved(kind: str, **options) -> bytes:
    data = BytesIO()
    SAMPLE.save(data, kind, **options)
    return data.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes) -> bytes:
    data = saved("PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def directory(count: int, size: int, order: str = "<", kind: int = 7) -> bytes:
    """A TIFF whose tags all name the same `size` bytes."""
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    where = 8 + 2 + 12 * count + 4
    tags = (struct.pack(order + "HHII", 40000 + i, kind, size, where) for i in range(count))
    return start + struct.pack(order + "H", count) + b"".join(tags) + bytes(4 + 8 * size)


def jpeg(*segments: bytes) -> bytes:
    data = saved("JPEG")
    parts = (b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in segments)
    return data[:2] + b"".join(parts) + data[2:]


def webp(exif: bytes) -> bytes:
    data = saved("WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
    place = data.index(b"EXIF")
    data = data[:place] + b"EXIF" + struct.pack("<I", len(exif)) + exif + bytes(len(exif) % 2)
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


MANY = directory(300, 1 << 20)
COSTLY = {
    "a PNG of empty chunks": lambda: png(chunk(b"prVt", b"") * MOST_PIECES),
    "a PNG of empty pixels": lambda: png(chunk(b"IDAT", b"") * MOST_PIECES),
    "a PNG of large chunks": lambda: png(*[chunk(b"prVt", bytes(4 << 20))] * 9),
    "EXIF in a PNG": lambda: png(chunk(b"eXIf", MANY)),
    "EXIF in a JPEG": lambda: jpeg(b"Exif\0\0" + directory(2000, 1000) + bytes(30000)),
    "EXIF in pieces": lambda: jpeg(*[b"Exif\0\0" + bytes(65000)] * (MOST_HEAD // 65000 + 1)),
    "EXIF in a WebP": lambda: webp(MANY),
    "a TIFF": lambda: MANY,
    "a TIFF the other way round": lambda: directory(300, 1 << 20, ">"),
    "a TIFF of places": lambda: directory(1, 1 << 19, kind=4),
    "a PPM of comments": lambda: b"P6 #" + bytes(70000) + b"\n64 64 255\n" + bytes(64 * 64 * 3),
}
"""What it is → what makes its bytes."""
