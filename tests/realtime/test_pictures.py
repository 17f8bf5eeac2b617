"""What a picture may cost, and that none costs more than its header was charged for."""

import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from realtime.decoding import scans
from realtime.pictures import MOST_SCANS, Limits, PictureError, is_picture, read_picture
from realtime.web.checks import PICTURE
from tests.realtime.media import scene


def saved(kind: str, mode: str = "RGB", size=(160, 120), **options) -> bytes:
    data = BytesIO()
    image = Image.fromarray(scene(0)).resize(size)
    (image.convert("L").convert(mode) if mode.startswith("I") else image.convert(mode)).save(
        data, kind, **options
    )
    return data.getvalue()


def refusal(data: bytes, limits=PICTURE) -> str:
    with pytest.raises(PictureError) as caught:
        read_picture(data, limits)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        *(("TIFF", mode) for mode in ("L", "P", "RGB", "RGBA", "CMYK", "I;16", "F")),
        *(("JPEG", mode) for mode in ("L", "RGB", "CMYK")),
        *(("WEBP", mode) for mode in ("RGB", "RGBA")),
        *(("BMP", mode) for mode in ("1", "L", "P", "RGB")),
        *(("PPM", mode) for mode in ("1", "L", "RGB")),
    ],
)
def test_every_kind_is_read_whole_and_made_smaller(kind, mode):
    data = saved(kind, mode)
    whole = read_picture(data)
    assert whole.image.shape == (120, 160, 3) and whole.image.dtype == np.uint8
    assert whole.scale == 1
    truth = Image.fromarray(scene(0)).convert("L" if mode in ("L", "LA", "F") else "RGB")
    truth = np.asarray(truth.convert("RGB")).astype(int)
    if mode not in ("1", "P", "I;16"):
        assert np.abs(whole.image.astype(int) - truth).mean() < 12
    small = read_picture(data, Limits(shown=2000))
    height, width = small.image.shape[:2]
    assert height * width <= 2000 and small.image.flags.c_contiguous
    assert small.scale == pytest.approx(160 / width) == pytest.approx(120 / height, rel=0.05)
    assert small.image.mean() == pytest.approx(whole.image.mean(), abs=3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(kind, exif=exif.tobytes() if kind != "TIFF" else exif)
    picture = Image.open(BytesIO(saved(kind))).convert("RGB")
    picture.getexif()[0x0112] = orientation
    truth = np.asarray(ImageOps.exif_transpose(picture))
    assert np.abs(read_picture(data).image.astype(int) - truth).mean() < 1
    small = read_picture(data, Limits(shown=4800))
    assert small.image.shape[:2] == tuple(side // 2 for side in truth.shape[:2])
    expected = cv2.resize(truth, small.image.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert small.scale == 2 and np.abs(small.image.astype(int) - expected).mean() < 6


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: saved("PNG", "RGBA", (7200, 7200)), "at most 50 million pixels"),
        (lambda: saved("WEBP", "L", (4000, 4000), quality=1, method=0), "of this kind of WEBP"),
        (lambda: saved("JPEG", "RGB", (7000, 5000), progressive=True, subsampling=0), "of JPEG"),
        (lambda: saved("TIFF", "RGB", (5000, 5000)), "of this kind of TIFF"),
        (lambda: saved("JPEG2000"), "not a picture"),
        (lambda: saved("GIF", "P"), "not a picture"),
        (lambda: saved("JPEG")[:2000], "cannot be read to its end"),
        (lambda: saved("PNG")[:2000], "cannot be read to its end"),
    ],
)
def test_what_costs_too_much_is_refused_by_its_header(data, words):
    assert words in refusal(data())


def test_as_many_pixels_of_a_cheaper_kind_are_taken():
    data = saved("JPEG", "L", (7000, 7000))
    assert read_picture(data, PICTURE).image.shape == (2449, 2449, 3)


def test_a_second_header_counts():
    """A small picture whose file says later that it is a large one."""
    data = saved("PNG")
    body = struct.pack(">2I5B", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + body + struct.pack(">I", zlib.crc32(b"IHDR" + body))
    for doubled in (data[:33] + chunk + data[33:], data[:8] + chunk + data[8:]):
        try:
            assert max(read_picture(doubled, PICTURE).image.shape) <= 160
        except PictureError:
            pass


def test_a_jpeg_of_many_passes_is_refused():
    data = saved("JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    many = data[:start] + data[start:-2] * MOST_SCANS + data[-2:]
    assert scans(BytesIO(many)) > MOST_SCANS
    assert "passes" in refusal(many)
    assert read_picture(data, PICTURE).image.shape == (120, 160, 3)


def test_a_broken_picture_is_a_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(saved("PNG")[:500])
    (tmp_path / "b.png").write_bytes(b"no picture at all")
    assert is_picture(tmp_path / "a.png") and not is_picture(tmp_path / "b.png")
