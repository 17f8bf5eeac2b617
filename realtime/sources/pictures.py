"""Picture files as a source: formats, depths, transparency, orientation, the order in a folder.

One library says how large a picture is and decodes it: where two differ over a file, what one
finds small the other may find huge.
"""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from realtime.sources.frame import Frame, Source, SourceError, too_small
from realtime.sources.picture_cost import bytes_a_pixel, scans
from realtime.sources.picture_head import too_much_beside

PICTURES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""What counts as a picture in a folder."""

USUAL = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "PPM")
"""Formats by Pillow's names, as :data:`PICTURES` by their endings."""

MOST_SCANS = 64
"""Times that a JPEG may go over its pixels; encoders use ten. Each costs time, and few bytes."""

_BAND = 1 << 20  # pixels that are converted at once
_UPRIGHT = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: image.transpose(1, 0, 2)[:, ::-1],
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: image.transpose(1, 0, 2)[::-1],
}
"""EXIF orientation → what turns the stored picture upright."""
_ORIENTATION = 0x0112

# What Pillow's many readers raise where a file is none of theirs or broken.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, TypeError, ArithmeticError, LookupError),
    *(AttributeError, EOFError, RuntimeError, struct.error, zlib.error),
)

# Its own two limits, of which one only warns, stand behind the ones here.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class PictureError(Exception):
    """A picture cannot be used. The message stands after its name: one line that tells the fix."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may cost. formats: by Pillow's names. pixels: as stored. memory: bytes that
    decoding may take. shown: pixels above which the picture is made smaller; None for never."""

    formats: tuple[str, ...] = (*USUAL, "JPEG2000", "AVIF", "SUN")
    pixels: int = 178_000_000
    memory: int = 3_000_000_000
    shown: int | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """image: uint8 H×W×3, RGB, contiguous, upright. scale: pixels of the file to one of these."""

    image: np.ndarray
    scale: float = 1.0


class PictureSource(Source):
    """Pictures one after another, a second each. What cannot be read is reported at the end.

    files: paths, or the content of a file, which messages call `name`.
    """

    fps = 1.0
    still = True

    def __init__(self, name: str, files: Sequence[Path | bytes]):
        self.name = name
        self.frames = len(files)
        self._files = files
        self._faults: list[str] = []
        self._read = self._pictures()
        self._first = next(self._read, None)
        if self._first is None:
            raise SourceError(self._report())
        self._measure(self._first)

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while self._first is not None:
            image, self._first = self._first, None
            yield Frame(image, index, float(index))
            self._first = next(self._read, None)
            index += 1
        if self._faults:
            raise SourceError(self._report())

    def _pictures(self) -> Iterator[np.ndarray]:
        for file in self._files:
            try:
                image = read_picture(file).image
                problem = too_small(image)
            except PictureError as error:
                problem = str(error)
            if problem:
                self._faults.append(f"{self.name if isinstance(file, bytes) else file} {problem}")
            else:
                yield image

    def _report(self) -> str:
        if len(self._files) == 1:
            return self._faults[0]
        more = len(self._faults) - 1
        others = f" ({more} more like it.)" if more else ""
        return f"{self._faults[0]} Left out of {self.name}; replace or remove it.{others}"


def read_picture(file: Path | bytes, limits: Limits = Limits()) -> Picture:
    """A picture file, upright by its EXIF mark; the first picture of several.

    Grey and 16-bit pictures are converted; what is transparent is laid over white. Raises
    PictureError for what is no picture, is damaged, or costs more than `limits` before it is
    decoded.
    """
    with _opened(file, limits) as image:
        _check(image, limits)
        long = max(image.size)
        smaller = _smaller(image.size, limits.shown)
        try:
            if isinstance(image, JpegImageFile):  # decoded at a half, quarter or eighth of its size
                image.draft(None, (image.width // smaller, image.height // smaller))
                smaller = _smaller(image.size, limits.shown)
            image.load()
            orientation = _orientation(image)
            pixels = _rgb(image, smaller)
        except _BROKEN:
            raise PictureError("is damaged: it cannot be read to its end.") from None
    pixels = _fitted(pixels, limits.shown)
    if orientation in _UPRIGHT:
        pixels = _UPRIGHT[orientation](pixels)
    return Picture(np.ascontiguousarray(pixels), long / max(pixels.shape[:2]))


def upright_rgb(image: Image.Image) -> np.ndarray:
    """A picture that Pillow has opened, as :func:`read_picture` gives it: uint8 H×W×3, RGB,
    contiguous, upright. PictureError where it is damaged."""
    try:
        image.load()
        orientation = _orientation(image)
        pixels = _rgb(image, 1)
    except _BROKEN:
        raise PictureError("is damaged: it cannot be read to its end.") from None
    if orientation in _UPRIGHT:
        pixels = _UPRIGHT[orientation](pixels)
    return np.ascontiguousarray(pixels)


def check_picture(file: Path | bytes, limits: Limits) -> None:
    """Raises PictureError where reading the picture would, as far as its header tells."""
    with _opened(file, limits) as image:
        _check(image, limits)


def is_picture(path: Path) -> bool:
    """Whether a file begins as a picture does that can be read; a damaged one is one too."""
    try:
        with _opened(path, Limits()):
            return True
    except (TooLarge, TooMuchBeside):
        return True
    except PictureError:
        return False


def pictures_in(folder: Path) -> list[Path]:
    """The pictures directly in a folder, 9.png before 10.png; hidden files are left out."""
    paths = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURES and not path.name.startswith(".")
    ]
    return sorted(paths, key=lambda path: natural(path.name))


def natural(name: str) -> list[str | int]:
    """A key by which 9.png comes before 10.png."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [int(part) if part.isdigit() and part.isascii() else part for part in parts]


class TooLarge(PictureError):
    """It has more pixels than are taken, of any kind or of its own."""

    def __init__(self, pixels: float, kind: str = ""):
        super().__init__(
            f"is too large: at most {pixels / 1e6:.0f} million pixels are taken{kind}. "
            "Scale it down and try again."
        )


class TooMuchBeside(PictureError):
    """Its reader would need too much time or memory for what is no pixel."""

    def __init__(self) -> None:
        super().__init__("holds more beside its pixels than is taken. Save it again.")


@contextmanager
def _opened(file: Path | bytes, limits: Limits) -> Iterator[ImageFile.ImageFile]:
    try:
        with BytesIO(file) if isinstance(file, bytes) else file.open("rb") as head:
            if too_much_beside(head):
                raise TooMuchBeside
        source = BytesIO(file) if isinstance(file, bytes) else file
        image = Image.open(source, formats=limits.formats)
    except Image.DecompressionBombError:
        raise TooLarge(limits.pixels) from None
    except _BROKEN:
        raise PictureError("is not a picture that can be read.") from None
    with image:
        yield image


def _check(image: ImageFile.ImageFile, limits: Limits) -> None:
    pixels = image.width * image.height
    if pixels > limits.pixels:
        raise TooLarge(limits.pixels)
    if isinstance(image, JpegImageFile) and image.fp and scans(image.fp) > MOST_SCANS:
        raise PictureError(
            f"is stored in more than {MOST_SCANS} passes, which no camera does. Save it again."
        )
    most = limits.memory / bytes_a_pixel(image, _smaller(image.size, limits.shown))
    if pixels > most and most < 1e6:
        raise PictureError("is stored in pieces that take too much memory. Save it again.")
    if pixels > most:
        raise TooLarge(most, f" of this kind of {image.format}")


def _orientation(image: Image.Image) -> int | None:
    if image.format == "TIFF":  # turns itself
        return None
    try:
        return image.getexif().get(_ORIENTATION)
    except _BROKEN:
        return None  # a broken mark is none


def _smaller(size: tuple[int, int], shown: int | None) -> int:
    """The whole number by which a picture may be divided and still have `shown` pixels."""
    return max(1, int((size[0] * size[1] / shown) ** 0.5)) if shown else 1


def _fitted(image: np.ndarray, shown: int | None) -> np.ndarray:
    height, width = image.shape[:2]
    if shown is None or height * width <= shown:
        return image
    scale = (shown / (height * width)) ** 0.5
    size = max(1, int(width * scale)), max(1, int(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _rgb(image: Image.Image, smaller: int) -> np.ndarray:
    """The loaded picture divided by a whole number, converted in bands: a copy of it all in every
    form between would cost several times its own memory."""
    width, height = max(1, image.width // smaller), max(1, image.height // smaller)
    smaller = min(smaller, *image.size)
    result = np.empty((height, width, 3), np.uint8)
    rows = max(1, _BAND // image.width // smaller)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = image.crop((0, top * smaller, width * smaller, bottom * smaller))
        pixels = _band_rgb(band)
        if smaller > 1:
            size = (width, bottom - top)
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        result[top:bottom] = pixels
    return result


def _band_rgb(band: Image.Image) -> np.ndarray:
    if band.mode.startswith("I"):  # 16 bits
        values = np.clip(np.asarray(band).astype(np.int32), 0, 65535)
        return np.repeat(((values + 128) // 257).astype(np.uint8)[..., None], 3, axis=2)
    if "transparency" not in band.info and band.mode not in ("LA", "La", "PA", "RGBA", "RGBa"):
        return np.asarray(band.convert("RGB"))
    if band.mode == "La":  # has no other way out
        band = band.convert("LA")
    stored = np.asarray(band.convert("RGBA"))
    alpha = stored[..., 3:].astype(np.float32) / 255
    return np.rint(stored[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
