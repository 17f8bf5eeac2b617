"""What stands beside the pixels of a picture file: its reader takes in all of it to open one.

A file of a megabyte can name the same bytes a thousand times, or hold a million empty pieces, each
of which costs time and memory. So the pieces are stepped over and counted first.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from typing import IO

MOST_HEAD = 8 << 20
"""Bytes of a JPEG before its pixels. Cameras write less than one megabyte, depth maps a few."""

MOST_PIECES = 100_000
"""Chunks of a PNG; one of 50 million pixels has twenty thousand."""

MOST_BESIDE = 32 << 20
"""Bytes of a PNG that are no pixels, and of the tags of a TIFF or EXIF, as often as they are named.
"""

MOST_NUMBERS = 1 << 20
"""Bytes of those tags that are numbers, each of which becomes an object: the places of strips."""

_PPM_HEAD = 64 << 10

_START_OF_SCAN = 0xDA
_ALONE = {0x00, 0x01, *range(0xD0, 0xD9)}  # markers without a length
_EXIF = b"Exif\0\0"
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
"""Bytes of a value of a TIFF tag by its type."""
_BYTES = (1, 2, 6, 7)  # types that stay bytes


def too_much_beside(file: IO[bytes]) -> bool:
    """Whether a picture file holds more beside its pixels than is taken; it stands at 0 after."""
    start = file.read(16)
    file.seek(0)
    try:
        if start.startswith(b"\xff\xd8\xff"):
            return _jpeg(file)
        if start.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(file)
        if start[:2] in (b"II", b"MM"):
            return _tags(file)
        if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
            return _webp(file)
        return start[:1] == b"P" and _ppm(file)
    except struct.error:
        return False  # it ends before it could hold too much
    finally:
        file.seek(0)


def _jpeg(file: IO[bytes]) -> bool:
    head = file.read(MOST_HEAD)
    place, exif = 2, []
    while 0 <= (place := head.find(b"\xff", place)) < len(head) - 3:
        marker = head[place + 1]
        if marker == _START_OF_SCAN:
            break
        if marker == 0xFF:
            place += 1
            continue
        length = (
            0 if marker in _ALONE else max(2, int.from_bytes(head[place + 2 : place + 4], "big"))
        )
        content = head[place + 4 : place + 2 + length]
        if content.startswith(_EXIF):
            exif.append(content[len(_EXIF) :])
        place += 2 + length
    else:
        return len(head) == MOST_HEAD
    return _exif(b"".join(exif))


def _png(file: IO[bytes]) -> bool:
    beside = 0
    for count, (kind, length) in enumerate(_chunks(file, 8, ">I4s", 4), 1):
        beside += 0 if kind == b"IDAT" else length
        if count > MOST_PIECES or beside > MOST_BESIDE:
            return True
        if kind == b"eXIf" and _exif(file.read(length)):
            return True
    return False


def _webp(file: IO[bytes]) -> bool:
    for count, (kind, length) in enumerate(_chunks(file, 12, "<4sI", 0), 1):
        if count > MOST_PIECES:
            return True
        if kind == b"EXIF" and _exif(file.read(length)):
            return True
    return False


def _chunks(file: IO[bytes], place: int, head: str, after: int) -> Iterator[tuple[bytes, int]]:
    """Kind and length of each chunk from `place` on; the file then stands at its content."""
    while len(start := _at(file, place, 8)) == 8:
        first, second = struct.unpack(head, start)
        kind, length = (first, second) if isinstance(first, bytes) else (second, first)
        yield kind, length
        place += 8 + length + after
        place += length % 2 if after == 0 else 0  # a RIFF chunk has an even length


def _exif(data: bytes) -> bool:
    data = data.removeprefix(_EXIF)
    return len(data) > MOST_BESIDE or (data[:2] in (b"II", b"MM") and _tags(io.BytesIO(data)))


def _tags(file: IO[bytes]) -> bool:
    """Whether the first directory of a TIFF names more bytes than are taken."""
    end = file.seek(0, io.SEEK_END)
    start = _at(file, 0, 16).ljust(16, b"\0")
    order = "<" if start[:2] == b"II" else ">"
    big = start[2] == 43  # as its reader tells, also where the order says otherwise
    whole, short = ("Q", 20) if big else ("I", 12)
    (directory,) = struct.unpack_from(order + whole, start, 8 if big else 4)
    counted = order + ("Q" if big else "H")
    (entries,) = struct.unpack(counted, _at(file, directory, struct.calcsize(counted)))
    table = file.read(min(entries, MOST_PIECES) * short)
    bytes_named = numbers = 0
    for place in range(0, len(table) - short + 1, short):
        _, kind, count, where = struct.unpack_from(f"{order}HH{whole}{whole}", table, place)
        size = count * _SIZES.get(kind, 0)
        if where + size <= end:
            bytes_named += size
            numbers += 0 if kind in _BYTES else size
    return entries > MOST_PIECES or bytes_named > MOST_BESIDE or numbers > MOST_NUMBERS


def _ppm(file: IO[bytes]) -> bool:
    head = file.read(_PPM_HEAD)
    values = 2 if head[:2] in (b"P1", b"P4") else 3
    found = re.match(rb"P\w(?:(?:\s|#[^\r\n]*[\r\n])+[^\s#]+){%d}\s" % values, head)
    return found is None and len(head) == _PPM_HEAD


def _at(file: IO[bytes], place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)
