"""Mutations through the real programs: the command line, and the page over HTTP. Linux only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.realtime.hostile.fuzz import MEMORY, Found
from tests.realtime.hostile.seeds import live_line, mutate, mutated, seeds
from tests.realtime.hostile.served import served
from tests.realtime.support.media import scene, write_video
from tests.realtime.support.paths import ROOT, below

PATIENCE = 60.0
"""Seconds that the command line may take on a busy machine, start included."""

LINES = 25
"""Lines of JSON for each file that the page gets."""


def fuzz_command_line(count: int, seed: int, folder: Path) -> Found:
    """Runs `python -m realtime` on mutated sources and models."""
    found, work = Found(), folder / "work"
    for name in ("work", "home", "temporary"):
        (folder / name).mkdir(parents=True)
    clip = write_video(folder / "clip.mp4", [scene(index) for index in range(3)])
    places = {"HOME": folder / "home", "TMPDIR": folder / "temporary", "PYTHONPATH": ROOT}
    environment = os.environ | {name: str(place) for name, place in places.items()}
    for case in range(count):
        kind, data = mutated(case, seed + 1)
        path = folder / f"case{seeds()[kind].suffix}"
        path.write_bytes(data)
        source, model = (clip, ["--model", str(path)]) if kind == "model" else (path, [])
        command = [sys.executable, "-B", "-m", "realtime", "--source", str(source), *model]
        command += ["--no-display", "--jsonl", "out.jsonl"]
        before = _files(folder)
        try:
            done = subprocess.run(
                command, cwd=work, env=environment, capture_output=True, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            found.add(f"command line, case {case}", f"command line, {kind}: hang")
            continue
        outcome, detail = _outcome(done), done.stderr.decode(errors="replace")[-1500:]
        records = work / "out.jsonl"
        if records.exists():
            for line in records.read_text().splitlines():
                json.loads(line)
            records.unlink()
        if new := _files(folder) - before:
            outcome, detail = "wrote elsewhere", str(new)
        found.add(f"command line, case {case}", f"command line, {kind}: {outcome}", detail)
    return found


def _outcome(done: subprocess.CompletedProcess) -> str:
    if b"Traceback" in done.stderr + done.stdout:
        return "traceback"
    if done.returncode < 0:
        return "crash"
    return "refused" if done.returncode else "taken"


def _files(folder: Path) -> set[str]:
    return {str(path) for path in below(folder)}


def fuzz_page(count: int, seed: int, folder: Path) -> Found:
    """Uploads mutated pictures and videos, and sends the live tab mutated lines of JSON."""
    found = Found()
    folder.mkdir(parents=True)
    with served(folder / "server") as server:
        server.open("picture", ROOT / "realtime/web/examples/one.jpg")
        server.open("video", write_video(folder / "clip.mp4", [scene(0)] * 3))
        rest, before = server.memory(), _files(folder)
        server.reset_peak()
        for case in range(count):
            kind, data = mutated(case, seed + 2)
            if kind != "model":
                path = folder / f"case{seeds()[kind].suffix}"
                path.write_bytes(data)
                _time(found, f"page, {kind}", case, lambda: server.open(kind, path))  # noqa: B023
            random = np.random.default_rng([seed, 3, case])
            for _ in range(LINES):
                body = server.live_line(live_line()).encode()
                line = mutate(body, body[::-1], random)
                _time(found, "page, line", case, lambda: server.live(line))  # noqa: B023
        for text in server.tracebacks():
            found.add("page", "page: traceback", text)
        if server.peak() - rest > MEMORY >> 20:
            found.add("page", "page: memory", f"{server.peak() - rest:.0f} MB")
        if not server.alive():
            found.add("page", "page: crash")
        new = {path for path in _files(folder / "server") - before if Path(path).is_file()}
        inside = str(folder / "server/temporary/faces-")
        if elsewhere := {path for path in new if not path.startswith(inside)}:
            found.add("page", "page: wrote elsewhere", str(elsewhere))
    return found


def _time(found: Found, name: str, case: int, call) -> None:
    started = time.monotonic()
    answer = call()
    if time.monotonic() - started > 10:
        found.add(f"page, case {case}", f"{name}: hang")
    elif isinstance(answer, int):
        found.add(f"page, case {case}", f"{name}: status {answer}")
    else:
        found.add(f"page, case {case}", f"{name}: {'taken' if answer == 'taken' else 'refused'}")
