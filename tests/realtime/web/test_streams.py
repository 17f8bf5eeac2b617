"""Live streams without a browser: places, order, leases and bad frames."""

import base64
import threading

import cv2
import numpy as np
import pytest

from realtime.web import streams as module
from realtime.web.checks import Refused
from realtime.web.networks import Networks
from realtime.web.streams import Streams
from tests.realtime.web.camera import turned_to_the_right


@pytest.fixture(scope="module")
def networks():
    with Networks("onnxruntime", "cpu") as networks:
        yield networks


@pytest.fixture
def streams(networks):
    with Streams(networks, 2) as streams:
        yield streams


def data_url(image: np.ndarray) -> str:
    jpeg = cv2.imencode(".jpg", image[..., ::-1])[1]
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


@pytest.fixture(scope="module")
def turned() -> str:
    return data_url(turned_to_the_right())


def picture(answer) -> np.ndarray:
    data = base64.b64decode(answer["image"].partition(",")[2])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


def test_mirroring_changes_the_picture_and_not_the_numbers(streams, turned):
    plain, mirrored = (
        streams.frame(streams.open(), 0, mirror, turned) for mirror in (False, True)
    )
    assert plain["faces"] == mirrored["faces"]
    (face,) = plain["faces"]
    assert face["id"] == 0 and face["expression"]["label"] == "happiness"
    assert face["pose"]["yaw"] > 5 and face["pose"]["roll"] > 5
    corner = np.s_[400:, :100]  # the suit, which nothing is drawn over
    flipped = picture(mirrored)[:, ::-1]
    assert np.abs(picture(plain)[corner].astype(int) - flipped[corner]).mean() < 5


def test_its_frames_are_live(streams, turned, monkeypatch):
    """So that a server too slow for its visitors does not search whole frames all the time."""
    frames = []
    monkeypatch.setattr(
        "realtime.pipeline.FacePipeline.process", lambda self, frame: frames.append(frame) or []
    )
    streams.frame(streams.open(), 0, False, turned)
    assert frames[0].captured is not None


def test_places_are_bounded_and_come_free(streams):
    first, second = streams.open(), streams.open()
    assert first and second and streams.open() is None
    streams.close(first)
    assert streams.open() and len(streams) == 2
    streams.close("unknown")


def test_a_stream_without_frames_ends(streams, turned, monkeypatch):
    silent, busy = streams.open(), streams.open()
    monkeypatch.setattr(module, "LEASE", 0.0)
    streams._open[busy].seen += 60
    streams.sweep()
    assert streams.frame(silent, 0, False, turned) is None
    assert streams.frame(busy, 0, False, turned)["faces"]


def test_a_frame_that_was_overtaken_is_dropped(streams, turned):
    key = streams.open()
    assert streams.frame(key, 5, False, turned)["image"]
    assert streams.frame(key, 4, False, turned)["image"] is None


def test_closing_frees_the_threads_of_a_stream(streams, turned):
    before = threading.active_count()
    for _ in range(5):
        key = streams.open()
        streams.frame(key, 0, False, turned)
        streams.close(key)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ("", "not a picture"),
        ("data:image/jpeg;base64,äöü", "not a picture"),
        ("data:image/jpeg;base64,AAAA", "not a picture"),
        (data_url(np.zeros((2000, 2000, 3), np.uint8)), "at most 2 million pixels"),
        (data_url(np.zeros((4, 4, 3), np.uint8)), "at least 16×16"),
    ],
)
def test_bad_frames_are_refused(streams, sent, words):
    with pytest.raises(Refused, match=words):
        streams.frame(streams.open(), 0, False, sent)
