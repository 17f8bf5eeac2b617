"""What all outputs say of a place that cannot be written."""

import cv2
import numpy as np
import pytest

from realtime.output.files import SinkError, encoded
from realtime.output.records import CsvSink, JsonlSink
from realtime.output.video import VideoSink

SINKS = {
    "out.mp4": lambda path: VideoSink(path, 160, 120, 25),
    "out.webm": lambda path: VideoSink(path, 160, 120, 25),
    "out.jsonl": JsonlSink,
    "out.csv": CsvSink,
}


def refused(make, path):
    with pytest.raises(SinkError) as caught:
        make(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", SINKS)
def test_folder_that_does_not_exist(tmp_path, name):
    message = refused(SINKS[name], tmp_path / "none" / name)
    assert f"create the folder {tmp_path / 'none'} first" in message


@pytest.mark.parametrize("name", SINKS)
def test_output_is_a_folder(tmp_path, name):
    (tmp_path / name).mkdir()
    assert "is a folder" in refused(SINKS[name], tmp_path / name)


@pytest.mark.parametrize("name", SINKS)
def test_folder_that_cannot_be_written(tmp_path, name):
    (tmp_path / "file").touch()
    assert "cannot be written" in refused(SINKS[name], tmp_path / "file" / name)


@pytest.mark.parametrize("name", SINKS)
def test_permission_denied(tmp_path, name, monkeypatch):
    def deny(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", deny)
    assert "cannot be written: Permission denied" in refused(SINKS[name], tmp_path / name)


@pytest.mark.parametrize("name", SINKS)
def test_a_name_that_is_too_long(tmp_path, name):
    assert "cannot be written: File name too long" in refused(
        SINKS[name], tmp_path / (300 * "a" + name)
    )


@pytest.mark.parametrize("name", SINKS)
def test_a_folder_that_may_not_be_looked_into(tmp_path, name, monkeypatch):
    def deny(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.stat", deny)
    assert "cannot be written: Permission denied" in refused(SINKS[name], tmp_path / name)


def test_a_picture_that_does_not_fit_its_kind():
    with pytest.raises(SinkError, match="70000×1 pixels cannot be written as .jpg"):
        encoded(np.zeros((1, 70_000, 3), np.uint8), ".jpg")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_picture_keeps_its_colours(suffix):
    image = np.full((16, 16, 3), (220, 60, 20), np.uint8)
    stored = cv2.imdecode(np.frombuffer(encoded(image, suffix), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(stored.astype(int) - image).max() <= (0 if suffix == ".png" else 4)
