"""The page in a process of its own, as a program sees it that means it no good. Linux only."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.realtime.support.paths import ROOT


class Served:
    """A page at `url` by the process `pid`; log: where its messages go."""

    def __init__(self, url: str, pid: int, log: Path):
        self.url, self.pid, self._log = url, pid, log
        self.client = httpx.Client(base_url=url, timeout=120)
        components = self.client.get("config").json()["components"]
        self._live = next(
            part["id"] for part in components if "frame" in part["props"].get("server_fns", [])
        )

    def open(self, name: str, path: Path) -> str:
        """What the API's `name` says to the file, in one line."""
        with path.open("rb") as file:
            (there,) = self.client.post(
                "gradio_api/upload", files={"files": (path.name, file)}
            ).json()
        given = {"path": there, "meta": {"_type": "gradio.FileData"}}
        call = f"gradio_api/call/{name}"
        event = self.client.post(call, json={"data": [given]}).json()["event_id"]
        answer = self.client.get(f"{call}/{event}").text
        # Long work sends heartbeats before its result.
        _, failed, error = answer.partition("event: error\ndata: ")
        if not failed:
            return "taken" if "event: complete" in answer else "no answer"
        found = re.search(r'"error": "((?:[^"\\]|\\.)*)"', error)
        return found[1].encode().decode("unicode_escape") if found else error.strip()

    def live(self, body: bytes) -> int:
        """The status that a line of JSON to the live tab gets."""
        headers = {"Content-Type": "application/json"}
        return self.client.post(
            "gradio_api/component_server", content=body, headers=headers
        ).status_code

    def live_line(self, data: str) -> str:
        return (
            f'{{"session_hash": "x", "component_id": {self._live}, "fn_name": "frame", '
            f'"data": {data}}}'
        )

    def memory(self, field: str = "VmRSS") -> float:
        """MB of this process and, without the code that both share, of those it started."""
        pids = [str(self.pid), *_children(self.pid)]
        return sum(_megabytes(pid, field, own=pid != str(self.pid)) for pid in pids)

    def reset_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def peak(self) -> float:
        """MB that the server itself held at most since :meth:`reset_peak`."""
        return _megabytes(str(self.pid), "VmHWM", own=False)

    def children_peak(self) -> float:
        return sum(_megabytes(pid, "VmHWM", own=True) for pid in _children(self.pid))

    def alive(self) -> bool:
        return self.client.get("config").status_code == 200

    def tracebacks(self) -> list[str]:
        return [part[:2000] for part in self._log.read_text().split("Traceback")[1:]]


def _children(pid: int) -> list[str]:
    result = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            result += path.read_text().split()
        except OSError:
            continue  # a thread that has ended
    return result


def _megabytes(pid: str, field: str, own: bool) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        # Between fork and exec it still is the server.
        if own and b"realtime.sources.decoder" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            return 0.0
    except OSError:
        return 0.0  # it has ended
    values = dict(re.findall(r"(\w+):\s+(\d+) kB", status))
    return (int(values.get(field, 0)) - own * int(values.get("RssFile", 0))) / 1024


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """The page, with all its files under `folder`: HOME, temporary files and working folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = Path(tempfile.mkstemp(suffix=".log", dir=folder.parent)[1])
    for name in ("home", "temporary", "work"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    places = {"HOME": folder / "home", "TMPDIR": folder / "temporary", "PYTHONPATH": ROOT}
    command = [sys.executable, "-B", str(ROOT / "gradio_app.py"), "--port", str(port)]
    with log.open("w") as messages:
        process = subprocess.Popen(
            command,
            cwd=folder / "work",
            env=os.environ | {name: str(place) for name, place in places.items()},
            stdout=messages,
            stderr=messages,
        )
    try:
        end = time.monotonic() + 120
        while "Open " not in log.read_text():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"The page does not start: {log.read_text()}")
            time.sleep(0.05)
        yield Served(f"http://127.0.0.1:{port}/", process.pid, log)
    finally:
        process.terminate()
        process.wait(30)
        log.unlink()
