"""A real window on a virtual screen, its keys pressed by xdotool."""

import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from realtime.output.window import display_problem
from tests.realtime.support.paths import CLIP, ROOT


@pytest.fixture
def screen():
    if not (shutil.which("Xvfb") and shutil.which("xdotool")):
        pytest.skip("needs Xvfb and xdotool")
    read, write = os.pipe()
    # Xvfb takes a number that is free, and tells it when the screen is there.
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1024x768x24"],
        pass_fds=[write], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with open(read) as told:
        number = told.readline().strip()
    yield os.environ | {"DISPLAY": f":{number}", "PYTHONPATH": str(ROOT)}
    server.terminate()
    server.wait()


def ask_window(screen, *words: str) -> str:
    result = subprocess.run(["xdotool", *words], env=screen, capture_output=True, text=True)
    return result.stdout.strip()


def test_keys_reach_the_program(screen, tmp_path):
    program = subprocess.Popen(
        [sys.executable, "-m", "realtime", "--source", str(CLIP)],
        cwd=tmp_path, env=screen, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    window, deadline = "", time.monotonic() + 30
    while not window and time.monotonic() < deadline:
        found = ask_window(screen, "search", "--onlyvisible", "--name", "Expression and head pose")
        window = found.split("\n")[0]
        time.sleep(0.1)
    ask_window(screen, "key", "--window", window, "s")
    while not list(tmp_path.glob("faces-*.png")) and time.monotonic() < deadline:
        time.sleep(0.1)
    ask_window(screen, "key", "--window", window, "q")
    printed, error = program.communicate(timeout=30)

    assert program.returncode == 0, error
    assert "QFont" not in error and "Traceback" not in error
    assert len(list(tmp_path.glob("faces-*.png"))) == 1, "s saves a picture"
    frames = int(re.search(r"^(\d+) frames$", printed, re.MULTILINE)[1])
    assert 0 < frames < 250, "q ends the run before the clip does"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_no_display_is_noticed(monkeypatch):
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", "")
    assert "no display" in display_problem()
    monkeypatch.setenv("DISPLAY", ":0")
    assert display_problem() is None
