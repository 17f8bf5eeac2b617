import cv2
import numpy as np
import pytest

from realtime import source
from realtime.source import SourceError, open_source
from tests.realtime.media import scene
from tests.realtime.reading import read, read_until_break, refused


def test_missing_file(tmp_path):
    assert "missing.mp4 does not exist" in refused(tmp_path / "missing.mp4")


@pytest.mark.parametrize("name", ["text.mp4", "text.jpg", "text"])
def test_text_is_no_video(tmp_path, name):
    (tmp_path / name).write_text("This is not a video.\n" * 40)
    assert "neither a video nor a picture" in refused(tmp_path / name)


def test_empty_file(tmp_path):
    (tmp_path / "empty.mp4").touch()
    assert "neither a video nor a picture" in refused(tmp_path / "empty.mp4")


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


@pytest.mark.parametrize("spec", [99, "99", "/dev/video99", -1])
def test_no_such_camera(monkeypatch, capfd, spec):
    monkeypatch.setattr(source, "found_cameras", lambda: [0, 2])
    message = refused(spec)
    assert message.startswith(f"Camera {'-1' if spec == -1 else '99'} could not be opened.")
    assert message.endswith("Found cameras: 0, 2.")
    assert capfd.readouterr() == ("", "")


def test_no_camera_at_all(monkeypatch):
    monkeypatch.setattr(source, "found_cameras", lambda: [])
    assert refused(99) == "Camera 99 could not be opened. No camera was found."


def test_busy_camera(monkeypatch):
    monkeypatch.setattr(source, "found_cameras", lambda: [99])
    assert "close the program that uses it" in refused(99)


class FakeCapture:
    """Stands in for cv2.VideoCapture: a blue picture five times, then nothing."""

    def __init__(self, index):
        self.left = 5

    def isOpened(self):
        return True

    def get(self, what):
        return 30.0

    def set(self, what, value):
        return True

    def read(self):
        self.left -= 1
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[..., 0] = 200
        return (True, picture) if self.left >= 0 else (False, None)

    def release(self):
        self.left = 0


def test_camera_gives_rgb_and_reports_that_it_stopped(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    with open_source(0) as camera:
        assert (camera.live, camera.width, camera.height, camera.fps) == (True, 64, 48, 30.0)
    frames, message = read_until_break("0")
    assert len(frames) == 4  # the first one was looked at when it was opened
    assert tuple(frames[0].image[0, 0]) == (0, 0, 200)
    times = [frame.time for frame in frames]
    assert times == sorted(times) and times[0] >= 0
    assert "Camera 0 stopped after 4 frames" in message


@pytest.mark.parametrize("fault", ["tiny", "error"])
def test_a_camera_that_cannot_be_measured_is_given_back(monkeypatch, fault):
    captures = []

    class Capture(FakeCapture):
        released = False

        def __init__(self, index):
            super().__init__(index)
            captures.append(self)

        def read(self):
            if fault == "error":
                raise cv2.error("the driver fell over")
            return True, np.zeros((8, 8, 3), np.uint8)

        def release(self):
            self.released = True

    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    with pytest.raises((SourceError, cv2.error), match="8×8|fell over"):
        open_source(0)
    assert [capture.released for capture in captures] == [True]
