import io
import sys

import pytest

import train.progress
from train.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """Time that passes when the test says so."""

    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(train.progress._Lines, "monitor_interval", 0)
    monkeypatch.setattr("tqdm.std.time", clock)
    return clock


def test_without_a_terminal_there_is_a_line_a_minute(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    for _ in progress(range(3600), desc="epoch 1", unit="steps"):
        clock.now += 0.1
    lines = sys.stderr.getvalue().splitlines()

    assert len(lines) in (5, 6), lines
    assert "\r" not in sys.stderr.getvalue()
    assert lines[0] == "epoch 1: 600 of 3600 steps, 05:00 left"


def test_what_is_soon_over_says_nothing(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress(total=100, desc="Aligning", unit="face") as done:
        for _ in range(100):
            clock.now += 0.1
            done.update()
    assert sys.stderr.getvalue() == ""


def test_on_a_terminal_there_is_a_bar(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    for _ in progress(range(100), desc="epoch 1", unit="steps"):
        clock.now += 0.1
    assert "\r" in sys.stderr.getvalue() and "100/100" in sys.stderr.getvalue()


def test_other_processes_are_quiet(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    for _ in progress(range(3600), desc="epoch 1", unit="steps", disable=True):
        clock.now += 0.1
    assert sys.stderr.getvalue() == ""
