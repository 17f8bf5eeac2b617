"""What decoding a picture costs, known from its header: measured with Pillow 12, whole bytes up."""

from __future__ import annotations

from typing import IO

from PIL import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

_WEBP = 16  # three canvases of RGBA beside the picture
_SLOW = 128  # decoders written in Python, which take microseconds a pixel
_PYTHON_DECODERS = ("bmp_rle", "ppm", "ppm_plain")
_DEEP = {"L": 1, "P": 1, "1": 1, "LA": 4, "I;16": 2, "I;16B": 2}
"""Bytes in memory of a pixel by mode; 4 for all others."""

_TIFF_BITS, _TIFF_SAMPLES, _TIFF_ROWS, _TIFF_TILE = 258, 277, 278, (322, 323)
_TIFF_PLAIN = (
    *("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate"),
    *("group3", "group4", "tiff_ccitt"),
)
_TIFF_CODEC = 16  # of JPEG, WebP and others inside a TIFF

_START_OF_SCAN = 0xDA
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length


def bytes_a_pixel(image: ImageFile.ImageFile, smaller: int) -> float:
    """Bytes of memory that decoding takes for each pixel as stored.

    image: opened and not yet loaded. smaller: the whole number by which it is then divided.
    """
    result = 3 / smaller**2
    if isinstance(image, JpegImageFile):
        drafted = 1 << min(3, smaller.bit_length() - 1)
        return _jpeg_coefficients(image) + 4 / drafted**2 + result
    if isinstance(image, TiffImageFile):
        return _tiff(image) + result
    if image.format in ("PNG", "BMP", "DIB", "PPM"):
        if image.tile and image.tile[0][0] in _PYTHON_DECODERS:
            return _SLOW
        return _DEEP.get(image.mode, 4) + result
    return _WEBP + result


def scans(file: IO[bytes]) -> int:
    """How often a JPEG goes over its pixels; a preview in it counts too."""
    place, count, last = file.tell(), 0, b""
    file.seek(0)
    while block := file.read(1 << 20):
        # No pixel holds the two bytes, for a 0 follows each of theirs that is 0xFF.
        count += (last + block).count(bytes((0xFF, _START_OF_SCAN)))
        last = block[-1:]
    file.seek(place)
    return count


def _jpeg_coefficients(image: JpegImageFile) -> int:
    """A JPEG of several passes is held as two bytes a value until the last of them."""
    if image.fp and not image.info.get("progressive") and _first_scan(image.fp) == image.layers:
        return 0
    return 2 * image.layers


def _first_scan(file: IO[bytes]) -> int:
    """How many colours the first pass of a JPEG holds; 0 where none is found."""
    place, count = file.tell(), 0
    file.seek(2)
    while byte := file.read(1):
        if byte != b"\xff":
            continue
        while (byte := file.read(1)) == b"\xff":
            pass
        if not byte or byte[0] == 0 or byte[0] in _ALONE:
            continue
        length = int.from_bytes(file.read(2), "big")
        if byte[0] == _START_OF_SCAN:
            count = int.from_bytes(file.read(1), "big")
            break
        file.seek(max(0, length - 2), 1)
    file.seek(place)
    return count


def _tiff(image: TiffImageFile) -> float:
    """The picture, once more to turn it, and the largest piece that its library decodes at once:
    a strip is at most the picture, a tile may be more."""
    if image.info.get("compression") not in _TIFF_PLAIN:
        return _TIFF_CODEC
    tags, pixels = image.tag_v2, max(1, image.width * image.height)
    bits = tags.get(_TIFF_BITS, (1,))
    piece = max(bits) * tags.get(_TIFF_SAMPLES, 1) / 8
    tile = [tags.get(tag, 0) for tag in _TIFF_TILE]
    return 8 + piece * max(1.0, tile[0] * tile[1] / pixels)
