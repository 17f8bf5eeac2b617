"""Small files that would cost much before a pixel is decoded."""

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image

from realtime.sources.picture_head import MOST_HEAD, MOST_PIECES, too_much_beside
from realtime.sources.pictures import PictureError, is_picture, read_picture
from realtime.web.checks import PICTURE

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


@pytest.mark.parametrize("name", COSTLY)
def test_costly_files_are_refused_before_they_are_opened(name, monkeypatch):
    data = COSTLY[name]()
    if name == "EXIF in a JPEG":  # a piece of 64 kB holds so much in larger tags alone
        monkeypatch.setattr("realtime.sources.picture_head.MOST_BESIDE", 1 << 20)
    assert too_much_beside(BytesIO(data))
    monkeypatch.setattr("PIL.Image.open", lambda *a, **k: pytest.fail("opened"))
    with pytest.raises(PictureError, match="beside its pixels"):
        read_picture(data, PICTURE)


def test_such_a_file_is_still_taken_for_a_picture(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(COSTLY["EXIF in a PNG"]())
    assert is_picture(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM"])
def test_usual_files_are_taken(kind):
    exif = Image.Exif()
    exif[0x010E] = "A picture" * 1000
    options = {} if kind in ("BMP", "PPM") else {"exif": exif}
    assert not too_much_beside(BytesIO(saved(kind, **options)))


def test_a_large_ppm_with_a_comment_is_taken():
    assert not too_much_beside(BytesIO(b"P6\n# a comment\n300 300\n255\n" + bytes(270000)))


@pytest.mark.parametrize("start", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0+", b"P"])
def test_what_ends_early_is_left_to_the_reader(start):
    assert not too_much_beside(BytesIO(start))
