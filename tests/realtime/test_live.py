import threading
import time

import numpy as np
import pytest

from realtime.live import NewestFrame
from realtime.source import Frame, SourceError

IMAGE = np.zeros((32, 32, 3), np.uint8)


def ticking(count: int, seconds: float, error: Exception | None = None):
    for index in range(count):
        yield Frame(IMAGE, index, index * seconds)
        time.sleep(seconds)
    if error:
        raise error


def test_a_slow_reader_gets_the_newest_frame():
    released = threading.Event()

    def source():
        yield Frame(IMAGE, 0, 0.0)
        released.wait(5)
        for index in range(1, 21):
            yield Frame(IMAGE, index, index / 30)

    with NewestFrame(source()) as frames:
        reader = iter(frames)
        assert next(reader).index == 0
        released.set()
        frames._thread.join(5)  # all twenty came while nobody asked
        assert next(reader).index == 20
        assert frames.dropped == 19
        assert next(reader, None) is None


def test_a_fast_reader_gets_every_frame_once():
    with NewestFrame(ticking(10, 0.02)) as frames:
        assert [frame.index for frame in frames] == list(range(10))


def test_what_goes_wrong_in_the_source_is_told_to_the_reader():
    with NewestFrame(ticking(2, 0.01, SourceError("Camera 0 stopped."))) as frames:
        with pytest.raises(SourceError, match="Camera 0 stopped"):
            list(frames)


def test_closing_stops_the_thread():
    with NewestFrame(ticking(10_000, 0.001)) as frames:
        next(iter(frames))
    assert not frames._thread.is_alive()
