"""A face in videos of every depth, colour and size: found, and where it is."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from realtime.__main__ import main
from realtime.detection.finder import FaceFinder
from realtime.detection.mtcnn import Detector
from realtime.sources.open import open_source
from realtime.timing import StageTimer
from tests.realtime.support.media import write_video
from tests.realtime.support.paths import CLIP

FORMATS = {
    "grey": ("a.mkv", "ffv1", "gray"),
    "grey, 16 bits": ("a.mkv", "ffv1", "gray16le"),
    "colour, 10 bits": ("a.mp4", "libx264", "yuv420p10le"),
    "colour, 16 bits": ("a.mkv", "ffv1", "gbrp16le"),
    "alpha": ("a.mov", "qtrle", "argb"),
    "alpha, 16 bits": ("a.mov", "png", "rgba64be"),
    "256 colours": ("a.gif", "gif", "rgb8"),
}
"""File, codec and pixels."""


@pytest.fixture(scope="module")
def image():
    with open_source(CLIP) as source:
        return next(iter(source)).image


@pytest.fixture(scope="module")
def detector():
    with Detector() as detector:
        yield detector


def stored(path: Path, image: np.ndarray, codec: str, pixels: str) -> Path:
    """The same picture three times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = pixels
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [(640, 480), (637, 479)])
def test_a_face_is_found_where_it_is(tmp_path, detector, image, kind, size):
    name, codec, pixels = FORMATS[kind]
    if pixels == "yuv420p10le" and size[0] % 2:
        pytest.skip("its colours need even sizes")
    image = np.ascontiguousarray(image[: size[1], : size[0]])
    (truth,) = detector.detect(image)
    with open_source(stored(tmp_path / name, image, codec, pixels)) as source:
        frames = list(source)
    assert len(frames) == 3
    for frame in frames:
        assert frame.image.dtype == np.uint8 and frame.image.shape == image.shape
        assert frame.image.flags.c_contiguous and frame.image.flags.writeable
        (face,) = detector.detect(frame.image)
        np.testing.assert_allclose(face.landmarks, truth.landmarks, atol=0.03 * truth.size)


def test_an_odd_video_is_drawn_and_recorded(tmp_path, image):
    odd = np.ascontiguousarray(image[:479, :637])
    path, out = stored(tmp_path / "a.mkv", odd, "ffv1", "gray16le"), tmp_path / "out.mp4"
    assert main(["--source", str(path), "--no-display", "--output", str(out)]) == 0
    with open_source(out) as source:
        drawn = next(iter(source)).image
    assert drawn.shape == (480, 638, 3)
    colours = drawn.astype(int).max(axis=2) - drawn.min(axis=2)
    assert (colours > 60).sum() > 500, "the overlay is in colour on a grey picture"


@pytest.mark.slow
@pytest.mark.parametrize("portrait", [False, True])
def test_a_face_is_followed_through_a_video_in_4k(tmp_path, detector, image, portrait):
    """It moves by a hundredth of the picture a frame, at a rate that varies."""
    size = (2160, 3840) if portrait else (3840, 2160)
    scale = size[0] / 640
    images, times = [], [0.0, 0.04, 0.1, 0.12, 0.2, 0.24, 0.3, 0.34]
    for index in range(len(times)):
        move = np.array([[scale, 0, size[0] * (index - 4) / 100], [0, scale, 0]])
        images.append(cv2.warpAffine(image, move, size, borderMode=cv2.BORDER_REPLICATE))
    path = write_video(tmp_path / "large.mp4", images, times)
    finder, middles = FaceFinder(detector, StageTimer()), []
    with open_source(path) as source:
        assert (source.width, source.height) == size
        for frame in source:
            (face,) = finder.find(frame)
            assert face.track_id == 0
            middles.append(face.landmarks[2, 0] / size[0])
    assert np.diff(middles) == pytest.approx([0.01] * 7, abs=0.004)
