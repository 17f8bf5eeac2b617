"""Arrays and Pillow's pictures as they come from programs, good and bad."""

import io

import numpy as np
import pytest
from PIL import Image

from realtime.sources.given import GivenFrames, as_rgb, in_colour

GOOD = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def test_an_array_that_is_right_is_not_copied():
    assert as_rgb(GOOD) is GOOD
    assert in_colour(GOOD, "rgb") is GOOD


def test_the_order_of_the_channels_is_as_said():
    np.testing.assert_array_equal(as_rgb(GOOD, "bgr"), GOOD[..., ::-1])
    np.testing.assert_array_equal(in_colour(GOOD, "bgr"), GOOD[..., ::-1])


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_a_view_becomes_contiguous(colour):
    view = np.repeat(GOOD, 2, axis=1)[::-1, ::2]
    image = as_rgb(view, colour)
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, view if colour == "rgb" else view[..., ::-1])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "I;16", "1"])
def test_pillow_says_its_order_itself(mode):
    picture = Image.fromarray(GOOD).convert("L").convert("I;16" if mode == "I;16" else mode)
    image = as_rgb(picture, "bgr")
    assert image.shape == (20, 30, 3) and image.dtype == np.uint8
    if mode == "RGB":
        np.testing.assert_array_equal(image, np.asarray(picture))


def test_a_photograph_of_pillow_stands_upright():
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GOOD).save(file, "PNG", exif=exif)
    assert as_rgb(Image.open(file)).shape == (30, 20, 3)


class Tensor:
    """Says that it is of PyTorch."""

    __module__ = "torch"


CUT = io.BytesIO()
Image.fromarray(GOOD).save(CUT, "PNG")

BAD = {
    "grey": (GOOD[..., 0], ValueError, r"20×30 is a grey picture.*np\.dstack"),
    "alpha": (np.zeros((20, 30, 4), np.uint8), ValueError, r"20×30×4 has a fourth.*\[\.\.\., :3\]"),
    "channels first": (GOOD.transpose(2, 0, 1), ValueError, r"3×20×30 has its channels fi.*movea"),
    "several": (GOOD[None], ValueError, r"1×20×30×3 holds several pictures.*list\(array\).*fps=…"),
    "a row": (np.zeros(30, np.uint8), ValueError, "shape 30 is no picture: give uint8"),
    "a number": (np.array(3), ValueError, "a single number is no picture"),
    "two channels": (np.zeros((20, 30, 2), np.uint8), ValueError, "20×30×2 is no picture"),
    "floats": (GOOD / 255, TypeError, r"of float64 has no known range.*255 \* picture"),
    "16 bits": (GOOD.astype(np.uint16), TypeError, r"of uint16.*picture // 257"),
    "wide integers": (GOOD.astype(int), TypeError, "of int64 has no known range: give uint8"),
    "objects": (GOOD.astype(object), TypeError, "of object has no known range"),
    "tiny": (GOOD[:8, :8], ValueError, "The picture is 8×8 pixels; at least 16×16"),
    "empty": (GOOD[:0], ValueError, "The picture is 30×0 pixels"),
    "bytes": (b"\xff\xd8", TypeError, r"not bytes: give PIL\.Image\.open\(io\.BytesIO\(data\)\)"),
    "a tensor": (Tensor(), TypeError, r"not a torch\.Tensor.*\.cpu\(\)\.numpy\(\)"),
    "a list of rows": ([[1, 2], [3, 4]], TypeError, "not a list: give uint8"),
    "a cut file": (Image.open(io.BytesIO(CUT.getvalue()[:-200])), ValueError, "is damaged"),
    "tiny Pillow": (Image.new("RGB", (8, 8)), ValueError, "8×8 pixels; at least"),
}  # fmt: skip


def test_what_is_no_picture_is_told_in_one_sentence_that_says_what_to_give(subtests):
    for name, (picture, kind, words) in BAD.items():
        with subtests.test(name), pytest.raises(kind, match=words) as caught:
            as_rgb(picture)
        assert "\n" not in str(caught.value)


def test_pictures_stand_alone_and_frames_follow_each_other():
    pictures, video = GivenFrames([GOOD] * 3), GivenFrames(iter([GOOD] * 3), fps=10)
    assert pictures.still and not video.still
    assert (pictures.name, pictures.frames, video.name, video.frames) == (
        "3 pictures", 3, "frames", None,
    )  # fmt: skip
    assert [frame.time for frame in pictures] == [0, 1, 2]
    assert [(frame.index, frame.time) for frame in video] == [(0, 0), (1, 0.1), (2, 0.2)]
    assert GivenFrames([GOOD]).name == "picture"


def test_a_bad_one_in_a_list_is_found_at_once_and_in_an_iterator_when_it_comes():
    with pytest.raises(TypeError, match="float64"):
        GivenFrames([GOOD, GOOD / 255])
    frames = iter(GivenFrames(iter([GOOD, GOOD / 255]), fps=10))
    next(frames)
    with pytest.raises(TypeError, match="float64"):
        next(frames)
    with pytest.raises(ValueError, match="no picture among"):
        GivenFrames([])
