import cv2
import numpy as np
import pytest

from realtime.sources import camera as module
from realtime.sources.camera import CameraMode
from realtime.sources.frame import SourceError
from realtime.sources.open import open_source
from tests.realtime.support.reading import read_until_break, refused


@pytest.mark.parametrize("spec", [99, "99", "/dev/video99", -1])
def test_no_such_camera(monkeypatch, capfd, spec):
    monkeypatch.setattr(module, "found_cameras", lambda: [0, 2])
    message = refused(spec)
    assert message.startswith(f"Camera {'-1' if spec == -1 else '99'} could not be opened.")
    assert message.endswith("Found cameras: 0, 2.")
    assert capfd.readouterr() == ("", "")


def test_a_number_that_no_camera_can_have(monkeypatch):
    monkeypatch.setattr(module, "found_cameras", list)
    assert "could not be opened" in refused(1 << 40)


def test_no_camera_at_all(monkeypatch):
    monkeypatch.setattr(module, "found_cameras", list)
    assert refused(99) == "Camera 99 could not be opened. No camera was found."


def test_busy_camera(monkeypatch):
    monkeypatch.setattr(module, "found_cameras", lambda: [99])
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


class Modes(FakeCapture):
    """A camera that has 1280×720 at 30 frames a second and nothing larger."""

    def __init__(self, index):
        super().__init__(index)
        self.asked = {}
        Modes.latest = self

    def set(self, what, value):
        self.asked[what] = value
        return True

    def read(self):
        size = self.asked.get(cv2.CAP_PROP_FRAME_WIDTH), self.asked.get(cv2.CAP_PROP_FRAME_HEIGHT)
        shape = (720, 1280, 3) if size != (None, None) else (480, 640, 3)
        return True, np.zeros(shape, np.uint8)


def test_a_camera_is_asked_for_a_size_and_a_rate_before_its_first_frame(monkeypatch, caplog):
    monkeypatch.setattr(cv2, "VideoCapture", Modes)
    with open_source(0, CameraMode((1280, 720), 30)) as camera:
        assert (camera.width, camera.height) == (1280, 720)
    assert list(Modes.latest.asked)[:1] == [cv2.CAP_PROP_FOURCC], "large pictures come as JPEGs"
    assert Modes.latest.asked[cv2.CAP_PROP_FPS] == 30
    assert not caplog.messages


def test_a_camera_that_gives_something_else_is_said(monkeypatch, caplog):
    monkeypatch.setattr(cv2, "VideoCapture", Modes)
    with open_source(0, CameraMode((1920, 1080), 60)) as camera:
        assert (camera.width, camera.height) == (1280, 720)
    assert caplog.messages == [
        "Camera 0 gives 1280×720 at 30 frames/s, not 1920×1080 at 60 frames/s."
    ]


def test_a_camera_that_is_asked_for_nothing_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Modes)
    with open_source(0):
        assert list(Modes.latest.asked) == [cv2.CAP_PROP_BUFFERSIZE]
