"""Mutated files through the program's own readers, many a second, in processes that may break.

Each case follows from its number and the seed alone; this does number 17 again:

    python -m tests.realtime.hostile.fuzz 17 --seed 0
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import subprocess
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from tests.realtime.hostile.seeds import KINDS, mutated, seeds

PATIENCE = 10.0
"""Seconds that a case may take."""

MEMORY = 300 << 20
"""Bytes that a case may take."""

WORKERS = 2


@dataclass
class Found:
    """outcomes: how often what happened. wrong: what must not happen, one line each."""

    outcomes: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, name: str, outcome: str, detail: str = "") -> None:
        self.outcomes[outcome] += 1
        if outcome.endswith(WRONG):
            self.wrong.append(f"{name}: {outcome} {detail}")


WRONG = ("traceback", "hang", "crash", "memory", "wrote elsewhere")


def fuzz(count: int, seed: int, folder: Path) -> Found:
    """Cases 0 to count − 1; whatever they write lies in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    found, left = Found(), iter(range(count))
    workers = [_Worker(seed, folder / str(number)) for number in range(min(WORKERS, count))]
    with selectors.DefaultSelector() as ready:
        for worker in workers:
            _next(worker, left, ready)
        while ready.get_map():
            events = {key.data for key, _ in ready.select(0.2)}
            for worker in [key.data for key in list(ready.get_map().values())]:
                if worker in events:
                    worker.take(found)
                elif time.monotonic() - worker.since > PATIENCE:
                    worker.give_up(found, "hang")
                else:
                    continue
                ready.unregister(worker.output)
                _next(worker, left, ready)
    for worker in workers:
        worker.close()
    return found


def _next(worker: _Worker, left, ready) -> None:
    if (case := next(left, None)) is not None:
        worker.give(case)
        ready.register(worker.output, selectors.EVENT_READ, worker)


class _Worker:
    def __init__(self, seed: int, folder: Path):
        self._seed, self._folder = seed, folder
        folder.mkdir()
        self._start()

    def _start(self) -> None:
        command = [
            sys.executable,
            "-B",
            "-m",
            "tests.realtime.hostile.fuzz",
            "--seed",
            str(self._seed),
        ]
        places = {"HOME": str(self._folder), "TMPDIR": str(self._folder)}
        self._process = subprocess.Popen(
            [*command, "--folder", str(self._folder)],
            env=os.environ | places,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.output = self._process.stdout
        self.output.readline()  # it is ready

    def give(self, case: int) -> None:
        self._case, self.since = case, time.monotonic()
        self._process.stdin.write(f"{case}\n")
        self._process.stdin.flush()

    def take(self, found: Found) -> None:
        if line := self.output.readline():
            found.add(self._name(), *json.loads(line))
        else:
            self.give_up(found, "crash")

    def give_up(self, found: Found, why: str) -> None:
        self._process.kill()
        code = self._process.wait()
        found.add(self._name(), f"{KINDS[self._case % len(KINDS)]}: {why}", str(code))
        self._start()

    def _name(self) -> str:
        return f"case {self._case} of seed {self._seed}"

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(30)


def run_case(case: int, seed: int, folder: Path, wrote: list[str]) -> tuple[str, str]:
    """The outcome of a case, and where it is wrong, what happened. wrote: files that were opened
    for writing since the start, by the process's own watch."""
    kind, data = mutated(case, seed)
    path = folder / f"case{seeds()[kind].suffix}"
    path.write_bytes(data)
    wrote.clear()
    _reset_peak()
    rest = _status("VmRSS")
    try:
        outcome = _read(kind, path)
    except Exception:
        return f"{kind}: traceback", traceback.format_exc()
    if _status("VmHWM") - rest > MEMORY >> 10:
        return f"{kind}: memory", f"{(_status('VmHWM') - rest) >> 10} MB"
    if elsewhere := [name for name in wrote if not name.startswith(str(folder))]:
        return f"{kind}: wrote elsewhere", ", ".join(elsewhere)
    return f"{kind}: {outcome}", ""


def _read(kind: str, path: Path) -> str:
    """As the page (pictures and videos) or the command line does; "taken" or "refused"."""
    from engine.contract import EngineError
    from realtime.recognise import Recogniser
    from realtime.sources.frame import SourceError
    from realtime.sources.pictures import PictureError, read_picture
    from realtime.sources.video import VideoLimits, VideoSource
    from realtime.web.checks import FULL_HD, PICTURE, VIDEO_PIXELS

    try:
        if kind == "picture":
            read_picture(path, PICTURE)
        elif kind == "video":
            limits = VideoLimits(VIDEO_PIXELS, shown=FULL_HD, strange=True)
            with VideoSource(f"file:{path}", path.name, limits) as video:
                for frame in video:
                    if frame.time > 180 or frame.index > 200:
                        break
        else:
            crops = np.zeros((2, 112, 112, 3), np.uint8)
            recogniser = Recogniser(path, "onnxruntime", "cpu", "fp32")
            try:
                recogniser.recognise(crops, [0.0, 0.0])
            finally:
                recogniser.close()
    except (EngineError, PictureError, SourceError, MemoryError) as error:
        if "\n" in str(error):
            raise AssertionError("a message of several lines") from error
        return "refused"
    return "taken"


@cache
def _has_peak() -> bool:
    return Path("/proc/self/clear_refs").exists()


def _reset_peak() -> None:
    if _has_peak():
        Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> int:
    """kB; 0 where the system does not say."""
    if not _has_peak():
        return 0
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith(field))


def _watch(wrote: list[str]) -> None:
    """Notes in `wrote` every file that this process opens for writing, or makes."""
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def look(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], (str, os.PathLike)):
            if arguments[2] & writing and not str(arguments[0]).startswith("/proc/self/"):
                wrote.append(str(arguments[0]))
        elif event in ("os.mkdir", "os.rename", "os.link", "os.symlink"):
            wrote.append(str(arguments[-1] if event != "os.mkdir" else arguments[0]))

    sys.addaudithook(look)


def main() -> int:
    """A worker: numbers of cases in, outcomes out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case", type=int, nargs="?")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("."))
    options = parser.parse_args()
    seeds()
    wrote: list[str] = []
    _watch(wrote)
    if options.case is not None:
        print(*run_case(options.case, options.seed, options.folder.resolve(), wrote))
        return 0
    print("ready", flush=True)
    for line in sys.stdin:
        outcome = run_case(int(line), options.seed, options.folder, wrote)
        print(json.dumps(outcome), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
