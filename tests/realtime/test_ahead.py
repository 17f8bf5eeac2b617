import threading
import time

import pytest

from realtime.ahead import DEPTH, WriteBehind, read_ahead


def test_items_come_in_order():
    assert list(read_ahead(range(100))) == list(range(100))


def test_reading_runs_ahead_but_not_far():
    read = []

    def items():
        for index in range(50):
            read.append(index)
            yield index

    ahead = read_ahead(items())
    next(ahead)
    time.sleep(0.3)
    assert 2 <= len(read) <= DEPTH + 3
    ahead.close()


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise OSError("the disk is gone")

    seen = []
    with pytest.raises(OSError, match="disk is gone"):
        for item in read_ahead(items()):
            seen.append(item)
    assert seen == [1, 2]


def test_leaving_early_stops_the_reader():
    def endless():
        while True:
            yield 0

    before = threading.active_count()
    ahead = read_ahead(endless())
    next(ahead)
    ahead.close()
    assert threading.active_count() == before


def test_writing_keeps_the_order_and_finishes_on_close():
    written = []

    def write(item):
        time.sleep(0.001)
        written.append(item)

    behind = WriteBehind(write)
    for index in range(50):
        behind(index)
    behind.close()
    assert written == list(range(50))


def test_an_item_whose_wake_up_call_was_lost_is_written_all_the_same():
    """As where Ctrl-C comes in the midst of a hand-over."""
    written = threading.Event()
    behind = WriteBehind(written.set)
    time.sleep(0.05)
    with behind._waiting.mutex:
        behind._waiting.queue.append(())
    assert written.wait(5)
    behind.close()


def test_a_failed_write_is_raised_once_and_nothing_hangs():
    def write(item):
        raise OSError("disk full")

    behind = WriteBehind(write)
    with pytest.raises(OSError, match="disk full"):
        for index in range(100):
            behind(index)
            time.sleep(0.001)
    behind.close()
