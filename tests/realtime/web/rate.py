"""What a user of the live tab really gets, with browser and server on the same cores or apart.

    python -m tests.realtime.web.rate
    python -m tests.realtime.web.rate --server-cores 0 --browser-cores 1
    python -m tests.realtime.web.rate --screenshot page.png

Serves the page, opens it in Chromium with a fake camera of 640×480 at 30 frames/s, and prints the
pictures shown a second and the processor time of browser and server for each, which says what they
reach on a machine that has nothing else to do. Linux only: it reads /proc.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import av
import cv2
import numpy as np
import tyro
from playwright.sync_api import Page, sync_playwright

from tests.realtime.support.paths import CLIP
from tests.realtime.web.load import ROOT, processor

SOURCE = CLIP
IN_VIEW = slice(3, 186)  # frames of it in which her face is seen
CLOSER = np.s_[66:402, 96:544]

STATUS = "document.querySelector('[data-live=status]').innerText"


@dataclass(frozen=True)
class Options:
    """Measure the rate of the live tab in a browser."""

    seconds: int = 36
    """How long."""
    server_cores: str = ""
    """Cores for the server, as 0 or 0,1; all where none are given."""
    browser_cores: str = ""
    """Cores for Chromium likewise."""
    screenshot: Path | None = None
    """PNG of the page, taken when it shows the median rate."""
    port: int = 7872
    """Where the page is served for the time of the test."""


def write_camera(path: Path) -> None:
    """A face that moves, forth and back without a jump, as Motion JPEG."""
    with av.open(str(SOURCE)) as video:
        images = [frame.to_ndarray(format="bgr24") for frame in video.decode(video=0)][IN_VIEW]
    with open(path, "wb") as clip:
        for image in images + images[::-1]:
            image = cv2.resize(image[CLOSER], (640, 480), interpolation=cv2.INTER_CUBIC)
            clip.write(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())


def descendants(pid: int) -> Iterator[int]:
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, tasks.read_text().split()):
            yield child
            yield from descendants(child)


def browser_time() -> float:
    """Seconds of processor time of all of Chromium's processes."""
    names = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in descendants(os.getpid())}
    return sum(processor(pid) for pid, name in names.items() if "chromium" in name)


def cores(given: str) -> set[int]:
    return {int(core) for core in given.split(",")} if given else os.sched_getaffinity(0)


@contextmanager
def served(options: Options) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "gradio_app.py", "--port", str(options.port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    os.sched_setaffinity(server.pid, cores(options.server_cores))
    try:
        for line in server.stdout:
            if line.startswith("Open"):
                break
        yield server
    finally:
        server.terminate()
        server.wait(20)


def shown(page: Page) -> tuple[int, int]:
    """Frames a second and milliseconds, as the page says."""
    said = re.match(r"(\d+) frames/s, (\d+) ms", page.evaluate(STATUS))
    return int(said[1]), int(said[2])


def measure(page: Page, server: subprocess.Popen, options: Options) -> None:
    page.goto(f"http://127.0.0.1:{options.port}/")
    page.locator("[data-live=start]").click()
    page.wait_for_function(f"/frames/.test({STATUS})")
    page.wait_for_timeout(3000)
    before, seen = (browser_time(), processor(server.pid)), []
    for _ in range(options.seconds):
        page.wait_for_timeout(1000)
        seen.append(shown(page))
    after = (browser_time(), processor(server.pid))
    rates, delays = zip(*seen, strict=True)
    middle = int(np.median(rates))
    print(f"{middle} frames/s ({min(rates)} to {max(rates)}), delay {np.median(delays):.0f} ms")
    for name, spent in zip(("browser", "server"), np.subtract(after, before), strict=True):
        print(f"{name}: {1000 * spent / sum(rates):.1f} ms of a core for each picture")
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if options.screenshot:
        page.wait_for_function(f"{STATUS}.startsWith('{middle} frames')")
        page.screenshot(path=options.screenshot)


def main() -> int:
    options = tyro.cli(Options, prog="python -m tests.realtime.web.rate")
    if options.screenshot:
        options = replace(options, screenshot=options.screenshot.resolve())
    with tempfile.TemporaryDirectory() as folder, served(options) as server:
        write_camera(Path(folder) / "camera.mjpeg")
        os.chdir(folder)  # the page shows the path of the clip as it is given
        os.sched_setaffinity(0, cores(options.browser_cores))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium",
                args=[
                    "--no-sandbox",
                    "--use-fake-device-for-media-stream",
                    "--use-file-for-fake-video-capture=camera.mjpeg",
                ],
            )
            view = {"width": 1180, "height": 1160}
            context = browser.new_context(viewport=view, permissions=["camera"])
            measure(context.new_page(), server, options)
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
