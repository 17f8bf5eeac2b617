"""How pictures are read, what one may cost, and that none costs more than its header said."""

import contextlib
import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from realtime.sources.open import open_source
from realtime.sources.picture_cost import scans
from realtime.sources.pictures import MOST_SCANS, Limits, PictureError, is_picture, read_picture
from realtime.web.checks import PICTURE
from tests.realtime.support.media import scene
from tests.realtime.support.reading import read, read_until_break, refused


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
        with contextlib.suppress(PictureError):
            assert max(read_picture(doubled, PICTURE).image.shape) <= 160


def test_a_jpeg_of_many_passes_is_refused():
    data = saved("JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    many = data[:start] + data[start:-2] * MOST_SCANS + data[-2:]
    assert scans(BytesIO(many)) > MOST_SCANS
    assert "passes" in refusal(many)
    assert read_picture(data, PICTURE).image.shape == (120, 160, 3)


def test_two_jpegs_in_one_file_are_bound_by_the_same_limit():
    """As some cameras store them (MPO): nobody says which of the two makes the passes."""
    data = saved("MPO", save_all=True, append_images=[Image.new("RGB", (160, 120))])
    assert Image.open(BytesIO(data)).format == "MPO"
    assert read_picture(data, PICTURE).image.shape == (120, 160, 3)
    small = read_picture(data, Limits(shown=2000)).image
    assert small.shape[0] * small.shape[1] <= 2000

    end = data.index(b"\xff\xd9\xff\xd8")  # where the second one begins
    start = data.rindex(b"\xff\xda", 0, end)
    assert "passes" in refusal(data[:start] + data[start:end] * MOST_SCANS + data[end:])


def test_a_broken_picture_is_a_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(saved("PNG")[:500])
    (tmp_path / "b.png").write_bytes(b"no picture at all")
    assert is_picture(tmp_path / "a.png") and not is_picture(tmp_path / "b.png")


def test_picture(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), scene(0)[..., ::-1])
    with open_source(tmp_path / "a.png") as opened:
        assert (opened.width, opened.height, opened.frames) == (160, 120, 1)
        (frame,) = opened
    assert np.array_equal(frame.image, scene(0))
    assert (frame.index, frame.time) == (0, 0.0)


@pytest.mark.parametrize("bad", [(3, 3), (15, 200)])
def test_tiny_picture_is_refused(tmp_path, bad):
    cv2.imwrite(str(tmp_path / "tiny.png"), np.zeros((*bad, 3), np.uint8))
    assert f"is {bad[1]}×{bad[0]} pixels; at least 16×16" in refused(tmp_path / "tiny.png")


def test_grey_and_16_bit_pictures(tmp_path):
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 4, (32, 1))
    for name, stored in [
        ("grey.png", ramp),
        ("grey16.png", ramp.astype(np.uint16) * 257),
        ("grey16.tif", ramp.astype(np.uint16) * 257),
        ("rgb16.png", np.dstack([ramp] * 3).astype(np.uint16) * 257),
    ]:
        cv2.imwrite(str(tmp_path / name), stored)
        image = read(tmp_path / name)[0].image
        assert image.dtype == np.uint8 and image.shape == (32, 64, 3)
        assert np.abs(image.astype(int) - ramp[..., None]).max() <= 1, name


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_transparent_is_white(tmp_path, depth):
    most = np.iinfo(depth).max
    image = np.zeros((32, 32, 4), depth)  # BGRA as OpenCV writes it
    image[:, :16] = (0, 0, most, most)
    cv2.imwrite(str(tmp_path / "alpha.png"), image)
    got = read(tmp_path / "alpha.png")[0].image
    assert tuple(got[5, 5]) == (255, 0, 0) and tuple(got[5, 25]) == (255, 255, 255)


def test_exif_orientation_is_applied(tmp_path):
    image = np.zeros((32, 64, 3), np.uint8)
    image[:16, :32] = 255
    data = cv2.imencode(".jpg", image)[1].tobytes()
    # An APP1 segment with one EXIF entry: orientation 6, "turn clockwise by 90° to view".
    entry = b"\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"
    tiff = b"II*\x00\x08\x00\x00\x00\x01\x00" + entry + b"\x00\x00\x00\x00"
    body = b"Exif\x00\x00" + tiff
    marked = data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:]
    (tmp_path / "turned.jpg").write_bytes(marked)
    got = read(tmp_path / "turned.jpg")[0].image
    assert np.abs(got.astype(int) - np.rot90(image, -1)).mean() < 8


def test_folder_in_natural_order(tmp_path):
    for number in (10, 9, 1, 100):
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), np.full((20, 20, 3), number, np.uint8))
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.png").write_text("not a picture either")
    frames = read(tmp_path)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 9, 10, 100]
    assert [frame.time for frame in frames] == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("content", [None, "notes.txt"])
def test_folder_without_pictures(tmp_path, content):
    if content:
        (tmp_path / content).write_text("hello")
    assert "holds no pictures" in refused(tmp_path)


def test_unreadable_picture_in_a_folder_is_left_out_and_named(tmp_path):
    for name in ("a.png", "c.png"):
        cv2.imwrite(str(tmp_path / name), scene(0))
    (tmp_path / "b.png").write_text("broken")
    frames, message = read_until_break(tmp_path)
    assert [frame.index for frame in frames] == [0, 1]
    assert "b.png is not a picture" in message


def test_folder_of_unreadable_pictures(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("broken")
    message = refused(tmp_path)
    assert "a.png is not a picture" in message and "1 more" in message
