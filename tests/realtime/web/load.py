"""Several live streams at once, and a picture now and then: what does each of them get?

    python -m tests.realtime.web.load --streams 4 --seconds 60
    python -m tests.realtime.web.load --flood 40 --seconds 8
    python -m tests.realtime.web.load --flood 40 --seconds 8 --flood-size 1920x1080
    python -m tests.realtime.web.load --flood 40 --seconds 8 --flood-streams 3
    python -m tests.realtime.web.load --flood 40 --seconds 8 --flood-reopen

Starts the page in a process of its own and plays cameras that give 25 frames/s, each with two
frames on their way, as a browser does. Prints the rate and delay of each stream, the delay of a
picture meanwhile, and memory and processor time of the server. With --flood it prints instead what
one camera gets beside a client that never waits, and beside another camera, in turns; the client
has another address of this machine than the camera that is measured. Linux only: it reads /proc.
"""

from __future__ import annotations

import base64
import multiprocessing
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import httpx
import numpy as np
import tyro
from gradio_client import Client, handle_file

from tests.realtime.support.paths import ROOT
from tests.realtime.web.camera import turned_to_the_right

EXAMPLE = ROOT / "realtime/web/examples/one.jpg"
CAMERA_FPS = 25
IN_FLIGHT = 2


@dataclass(frozen=True)
class Options:
    """Load the web page with live streams and measure what each of them gets."""

    streams: int = 4
    """How many cameras."""
    seconds: float = 60
    """How long."""
    pictures: bool = True
    """Also send a picture every five seconds."""
    flood: int = 0
    """Compare a flooding client, with this many frames on their way, with an honest one."""
    flood_size: str = "640x480"
    """Size of its frames."""
    flood_streams: int = 1
    """Streams in which it sends them."""
    flood_reopen: bool = False
    """It closes each stream after the first answer and opens another."""
    rounds: int = 5
    """Of that comparison."""
    port: int = 7871
    """Where the page is served for the time of the test."""


@dataclass
class Seen:
    """What one stream got: delays in seconds."""

    delays: list[float] = field(default_factory=list)
    faces: int = 0


class Page:
    """The live tab's server functions, called as the browser of one visitor calls them."""

    def __init__(self, url: str, connections: int = 100, address: str = "127.0.0.1"):
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        transport = httpx.HTTPTransport(limits=limits, local_address=address)
        self._client = httpx.Client(base_url=url, timeout=60, transport=transport)
        self._session = secrets.token_hex(8)
        components = self._client.get("config").json()["components"]
        self._id = next(
            part["id"]
            for part in components
            if "open_stream" in part["props"].get("server_fns", [])
        )

    def call(self, name: str, data):
        body = {
            "session_hash": self._session,
            "component_id": self._id,
            "fn_name": name,
            "data": data,
        }
        answer = self._client.post("gradio_api/component_server", json=body)
        answer.raise_for_status()
        return answer.json()


def play(page: Page, picture: str, seconds: float, in_flight=IN_FLIGHT, pause=True) -> Seen:
    """One camera: a new frame every 40 ms, dropped while both frames on their way are waited for.

    Without the pause it floods: each answer is followed by another frame at once.
    """
    seen, key = Seen(), page.call("open_stream", None)["key"]
    end, numbers = time.monotonic() + seconds, iter(range(10**9))
    lock = threading.Lock()

    def work() -> None:
        while time.monotonic() < end:
            with lock:
                number = next(numbers)
            started = time.monotonic()
            frame = {"key": key, "number": number, "mirror": True, "image": picture}
            answer = page.call("frame", frame)
            if answer.get("image"):
                seen.delays.append(time.monotonic() - started)
                seen.faces += len(answer["faces"])
            if pause:
                time.sleep(max(0.0, in_flight / CAMERA_FPS - (time.monotonic() - started)))

    with ThreadPoolExecutor(in_flight) as pool:
        for job in [pool.submit(work) for _ in range(in_flight)]:
            job.result()
    page.call("close_stream", key)
    return seen


def pictures(url: str, seconds: float) -> list[float]:
    """How long a picture takes, every five seconds."""
    client = Client(url, verbose=False)
    delays, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.monotonic()
        client.predict(handle_file(EXAMPLE), api_name="/picture")
        delays.append(time.monotonic() - started)
        time.sleep(5)
    return delays


def memory(pid: int) -> float:
    """MiB that the process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def processor(pid: int) -> float:
    """Seconds of processor time that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def reopen(page: Page, picture: str, seconds: float, in_flight: int) -> None:
    """Many frames, all of them to streams that have just been opened."""
    end = time.monotonic() + seconds

    def work() -> None:
        while time.monotonic() < end:
            key = page.call("open_stream", None)["key"]
            if key:
                page.call("frame", {"key": key, "number": 0, "mirror": True, "image": picture})
                page.call("close_stream", key)

    with ThreadPoolExecutor(in_flight) as pool:
        for job in [pool.submit(work) for _ in range(in_flight)]:
            job.result()


def beside(url: str, options: Options, flooding: bool) -> None:
    """A client in a process of its own, which shares no lock with the one that is measured, and
    with another address."""
    page, seconds = Page(url, address="127.0.0.2"), options.seconds + 2
    if not flooding:
        play(page, jpeg("640x480"), seconds)
        return
    picture, each = jpeg(options.flood_size), max(1, options.flood // options.flood_streams)
    if options.flood_reopen:
        reopen(page, picture, seconds, options.flood)
        return
    with ThreadPoolExecutor(options.flood_streams) as pool:
        for stream in [
            pool.submit(play, page, picture, seconds, each, pause=False)
            for _ in range(options.flood_streams)
        ]:
            stream.result()


def compare(url: str, picture: str, options: Options) -> None:
    """Median delays of one camera beside an honest and beside a flooding client, in turns."""
    page, medians = Page(url), {False: [], True: []}
    for _ in range(options.rounds):
        for flooding in medians:
            sent = (url, options, flooding)
            other = multiprocessing.get_context("spawn").Process(target=beside, args=sent)
            other.start()
            time.sleep(3)  # until it has begun
            delays = play(page, picture, options.seconds - 2).delays
            other.join()
            medians[flooding].append(1000 * np.median(delays))
    for flooding, found in medians.items():
        each = ", ".join(f"{median:.0f}" for median in found)
        client = "a flooding client" if flooding else "a camera"
        print(f"beside {client}: {np.median(found):.0f} ms (rounds: {each})")
    honest, flooded = (np.median(found) for found in medians.values())
    print(f"flooded / honest: {flooded / honest:.2f}")


def jpeg(size: str) -> str:
    """A frame with a face, of a size such as 640x480, as a data URL."""
    width, height = map(int, size.split("x"))
    image = cv2.resize(turned_to_the_right(), (width, height))
    data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def measure(url: str, pid: int, options: Options) -> None:
    picture = jpeg("640x480")
    play(Page(url), picture, 2)  # warms up
    if options.flood:
        compare(url, picture, options)
    else:
        count(url, pid, picture, options)


def count(url: str, pid: int, picture: str, options: Options) -> None:
    """What each of the cameras gets, and what it costs."""
    used, levels = processor(pid), []
    with ThreadPoolExecutor(options.streams + 1) as pool:
        streams = [
            pool.submit(play, Page(url), picture, options.seconds) for _ in range(options.streams)
        ]
        other = pool.submit(pictures, url, options.seconds) if options.pictures else None
        while not all(stream.done() for stream in streams):
            levels.append(memory(pid))
            time.sleep(1)
    used = processor(pid) - used
    frames = 0
    for number, stream in enumerate(streams):
        seen = stream.result()
        frames += len(seen.delays)
        median, late = (1000 * np.quantile(seen.delays, share) for share in (0.5, 0.95))
        print(
            f"stream {number}: {len(seen.delays) / options.seconds:5.1f} frames/s, "
            f"delay {median:.0f} ms (95 % within {late:.0f}), faces in {seen.faces} frames"
        )
    if other:
        delays = other.result()
        print(f"pictures: {len(delays)}, {np.median(delays):.2f} s (longest {max(delays):.2f})")
    quarters = ", ".join(f"{np.median(part):.0f}" for part in np.array_split(levels, 4))
    print(f"memory: {quarters} MiB in each quarter")
    print(f"processor: {1000 * used / frames:.1f} ms a frame, {used / options.seconds:.2f} cores")


def main() -> int:
    options = tyro.cli(Options, prog="python -m tests.realtime.web.load")
    command = [sys.executable, "gradio_app.py", "--port", str(options.port)]
    server = subprocess.Popen(
        [*command, "--max-streams", str(options.streams)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for line in server.stdout:
            if line.startswith("Open"):
                measure(f"http://127.0.0.1:{options.port}/", server.pid, options)
                return 0
        return 1
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    sys.exit(main())
