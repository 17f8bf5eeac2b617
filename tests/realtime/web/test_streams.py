"""Live streams without a browser: places, order, leases and bad frames."""

import asyncio
import base64
import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from realtime.timing import StageTimer
from realtime.web import streams as module
from realtime.web.callers import Caller
from realtime.web.checks import Refused
from realtime.web.networks import Networks
from realtime.web.shares import Shares
from realtime.web.streams import Streams
from tests.realtime.web.camera import turned_to_the_right
from tests.realtime.web.load import Page
from tests.realtime.web.loops import finished
from tests.realtime.web.test_tabs import until


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
    plain, mirrored = (streams.frame(streams.open(), 0, mirror, turned) for mirror in (False, True))
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


class Held:
    """A pipeline whose frames wait until they are let go."""

    def __init__(self):
        self.inside, self.go = threading.Semaphore(0), threading.Event()
        self.timer = StageTimer()

    def process(self, frame):
        self.inside.release()
        assert self.go.wait(30)
        return []

    def close(self):
        pass


@pytest.fixture
def held():
    held = Held()
    yield held
    held.go.set()


def test_two_frames_are_in_flight_and_the_rest_are_refused_at_once(streams, held, turned):
    key = streams.open()
    streams._open[key]._pipeline = held
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(streams.frame, key, 0, False, turned)]
        assert held.inside.acquire(timeout=30)  # so that the second does not overtake it
        jobs.append(pool.submit(streams.frame, key, 1, False, turned))
        assert until(lambda: not streams._open[key]._turns._value)
        third = pool.submit(streams.frame, key, 2, False, turned)
        assert third.result(10)["image"] is None
        held.go.set()
        assert all(job.result(10)["image"] for job in jobs)
    assert streams.frame(key, 3, False, turned)["image"]


def test_who_sends_many_frames_takes_no_thread_from_the_others(server, held, turned):
    flooding, other = Page(server.url), Page(server.url)
    key = flooding.call("open_stream", None)["key"]
    server.streams._open[key]._pipeline = held
    frame = {"mirror": False, "image": turned}
    with ThreadPoolExecutor(60) as pool:
        jobs = [
            pool.submit(flooding.call, "frame", frame | {"key": key, "number": number})
            for number in range(60)
        ]
        assert held.inside.acquire(timeout=30)
        mine = other.call("open_stream", None)["key"]
        assert other.call("frame", frame | {"key": mine, "number": 0})["faces"]
        assert sum(not job.done() for job in jobs) >= module.IN_FLIGHT
        held.go.set()
        shown = [bool(job.result(30)["image"]) for job in jobs]
    assert 1 <= sum(shown) <= module.IN_FLIGHT
    for opened in (key, mine):
        other.call("close_stream", opened)


def test_two_streams_of_an_address_are_not_worked_on_at_once_beside_another(networks, held, turned):
    flood, camera = Caller("198.51.100.1"), Caller("198.51.100.2")

    async def send(streams):
        *flooding, mine = [streams.open(caller) for caller in (flood, flood, camera)]
        for key in flooding:
            streams._open[key]._pipeline = held
        assert (await streams.frame_in_thread(mine, 0, False, turned))["faces"]
        jobs = [
            asyncio.ensure_future(streams.frame_in_thread(key, 0, False, turned))
            for key in flooding
        ]
        assert await asyncio.to_thread(held.inside.acquire, timeout=30)
        assert (await streams.frame_in_thread(mine, 1, False, turned))["faces"]
        beside = held.inside.acquire(blocking=False)
        held.go.set()
        assert all(answer["image"] for answer in await asyncio.gather(*jobs))
        return beside

    with Streams(networks, 3) as streams:
        assert not finished(send(streams))


def test_a_new_stream_begins_with_what_its_address_took(streams, turned):
    """By the clock of the test, which stands still: so nothing that was taken is forgotten."""
    waited = []

    async def sleep(seconds):
        waited.append(seconds)
        if len(waited) == 100:
            raise TimeoutError

    flood, camera = Caller("198.51.100.1"), Caller("198.51.100.2")
    streams._shares = Shares(1.0, lambda: 0.0, sleep)
    streams._shares.used(camera.address, 0.1)

    async def reopen():
        for _ in range(10_000):
            key = await streams.open_in_thread(flood)
            assert (await streams.frame_in_thread(key, 0, False, turned))["faces"]
            streams.close(key)

    with pytest.raises(TimeoutError):
        finished(reopen())
    assert len(waited) == 100


def test_what_is_sent_to_no_stream_is_refused_at_a_pace(streams, monkeypatch):
    refused = []

    async def refuse(address, size):
        refused.append((address, size))

    monkeypatch.setattr(streams._shares, "refuse", refuse)
    answer = finished(streams.frame_in_thread("over", 0, False, "a" * 9, "198.51.100.1"))
    assert answer is None and refused == [("198.51.100.1", 9)]


def test_the_search_beside_the_frames_is_counted(streams, turned):
    key = streams.open()
    for number in range(3):
        streams.frame(key, number, False, turned)
    stream = streams._open[key]
    assert stream.search_time() > 0
    stream._pipeline.finder._thread.submit(int).result()  # after the search of the last frame
    stream.search_time()
    assert stream.search_time() == 0


def test_opening_a_stream_does_not_stop_the_others(networks, streams, turned, monkeypatch):
    first, second = streams.open(), streams.open()
    inside, go = threading.Event(), threading.Event()
    make = type(networks).pipeline

    def slow(self):
        inside.set()
        assert go.wait(30)
        return make(self)

    streams.close(second)
    monkeypatch.setattr(type(networks), "pipeline", slow)
    with ThreadPoolExecutor(2) as pool:
        opening = pool.submit(streams.open)
        assert inside.wait(30)
        try:
            assert streams.frame(first, 0, False, turned)["faces"]
            pool.submit(streams.close, first).result(10)  # waited for the lock of all streams
        finally:
            go.set()
        assert opening.result(30) in streams._open


def test_a_stream_opens_no_session_of_its_own(streams, monkeypatch):
    def opened(*arguments, **options):
        raise AssertionError("a session was opened")

    monkeypatch.setattr("realtime.detection.mtcnn.open_session", opened)
    assert streams.open()


def test_the_size_of_a_frame_is_known_before_it_is_decoded(streams, monkeypatch):
    def decoded(*arguments, **options):
        raise AssertionError("base64 was decoded")

    monkeypatch.setattr(module.base64, "b64decode", decoded)
    huge = "data:image/jpeg;base64," + "A" * (2 * module.FRAME_BYTES)
    with pytest.raises(Refused, match="at most 4 MB"):
        streams.frame(streams.open(), 0, False, huge)


@pytest.mark.parametrize(
    ("holder", "asking"),
    [
        (Caller("198.51.100.1", "a"), Caller("198.51.100.2", "b")),
        (Caller("198.51.100.1", "a"), Caller("198.51.100.1", "b")),
    ],
)
def test_one_visitor_cannot_keep_all_places(streams, turned, holder, asking):
    first, second = streams.open(holder), streams.open(holder)
    assert streams.open(holder) is None
    key = streams.open(asking)
    assert key and streams.open(holder) is None and streams.open(asking) is None
    assert streams.frame(first, 0, False, turned)["faces"]
    assert streams.frame(second, 0, False, turned) is None
    assert streams.frame(key, 0, False, turned)["faces"]
