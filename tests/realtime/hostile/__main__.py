"""Sends the page and the command line what a stranger might, and measures what it costs.

    python -m tests.realtime.hostile                 everything: lists, files, 10 000 mutations
    python -m tests.realtime.hostile --fuzz 0        the table of docs/robustness.md alone

Exits with 1 where a file gave a traceback, took longer than 10 s to refuse, more than 300 MB, or
wrote outside the program's own folder. Linux only: it reads /proc.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import tyro

from realtime.sources.open import open_source
from tests.realtime.hostile.files import PICTURES, VIDEOS
from tests.realtime.hostile.fuzz import fuzz
from tests.realtime.hostile.programs import LINES, fuzz_command_line, fuzz_page
from tests.realtime.hostile.served import Served, served
from tests.realtime.support.media import scene, write_video
from tests.realtime.support.paths import CLIP, ROOT
from tests.realtime.support.playlists import write_playlists

MOST = 300
"""MB over the memory of the server at rest."""

EXAMPLE = ROOT / "realtime/web/examples/one.jpg"


@dataclass(frozen=True)
class Options:
    """Try every hostile input that is known here, and some that are not."""

    fuzz: int = 10_000
    """How many mutated files and lines; one in nine through the real programs."""
    seed: int = 0
    """Which mutations."""
    table: bool = True
    """Measure the hostile files."""
    only: tuple[str, ...] = ()
    """Names of hostile files; all where none is given."""


@dataclass(frozen=True)
class Cost:
    """What one file did. peak: MB over rest. seconds: until the answer came."""

    size: int
    peak: float
    seconds: float
    answer: str


def cost(server: Served, name: str, path: Path, rest: float) -> Cost:
    """rest: MB that the server and what it starts hold when nothing is done."""
    children, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.004):
            children[0] = max(children[0], server.children_peak())

    watcher = threading.Thread(target=watch)
    server.reset_peak()
    watcher.start()
    started = time.monotonic()
    answer = server.open(name, path)
    seconds = time.monotonic() - started
    done.set()
    watcher.join()
    return Cost(path.stat().st_size, server.peak() - rest + children[0], seconds, answer)


def measure(options: Options, folder: Path) -> list[str]:
    """Prints the table; returns what was wrong."""
    wrong = []
    print("| file | what it is | size | peak over rest | answer after | answer |")
    print("|---|---|---|---|---|---|", flush=True)
    ordinary = write_video(folder / "ordinary.mp4", _ordinary())
    files = [("picture", *item) for item in PICTURES.items()]
    files += [("video", *item) for item in VIDEOS.items()]
    with ExitStack() as stack:
        server, rest = None, 0.0
        for api, name, (what, write) in files:
            if options.only and name not in options.only:
                continue
            path = folder / name
            write(path)
            # What is kept for the next picture of that size would count twice.
            if server is None or server.memory() > rest + 10:
                stack.close()
                server = stack.enter_context(served(folder / "server"))
                server.open("picture", EXAMPLE)
                server.open("video", ordinary)  # everything is loaded once
                rest = server.memory()
            found = cost(server, api, path, rest)
            wrong += [f"{name}: {text}" for text in server.tracebacks()]
            path.unlink()
            # The name of the file begins what a message says of it.
            answer = found.answer.removeprefix(name).strip()
            print(
                f"| {name} | {what} | {_size(found.size)} | {max(0, found.peak):.0f} MB "
                f"| {found.seconds:.1f} s | {answer} |",
                flush=True,
            )
            if found.peak > MOST:
                wrong.append(f"{name} took {found.peak:.0f} MB.")
            if found.seconds > 10 and found.answer != "taken":
                wrong.append(f"{name} was refused after {found.seconds:.0f} s.")
    return wrong


def _ordinary() -> list[np.ndarray]:
    """The first ten pictures of the demo clip."""
    with open_source(CLIP) as source:
        return [frame.image for frame in islice(source, 10)]


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def lists(folder: Path) -> list[str]:
    """Every list of files through the page; returns those of which the page made anything."""
    folder.mkdir()
    secret = write_video(folder / "secret.mp4", [scene(index) for index in range(5)])
    wrong, count = [], 0
    with served(folder / "server") as server:
        for path in write_playlists(folder, secret):
            count += 1
            answer = server.open("video", path)
            if "neither a video nor" not in answer:
                wrong.append(f"{path.name}: {answer}")
        wrong += server.tracebacks()
    print(f"{count} lists of other files: {count - len(wrong)} refused.", flush=True)
    return wrong


def main() -> int:
    options = tyro.cli(Options, prog="python -m tests.realtime.hostile")
    with tempfile.TemporaryDirectory(prefix="hostile-") as name:
        folder = Path(name)
        wrong = lists(folder / "lists")
        if options.table:
            wrong += measure(options, folder)
        if options.fuzz:
            outcomes: Counter[str] = Counter()
            programs = options.fuzz // 250
            readers = options.fuzz - programs * (2 + LINES)
            for part in (
                fuzz(readers, options.seed, folder / "fuzz"),
                fuzz_command_line(programs, options.seed, folder / "command"),
                fuzz_page(programs, options.seed, folder / "page"),
            ):
                outcomes.update(part.outcomes)
                wrong += part.wrong
            for outcome, count in sorted(outcomes.items()):
                print(f"{outcome}: {count}")
    for line in wrong:
        print(f"WRONG  {line}", file=sys.stderr)
    print("Nothing was wrong." if not wrong else f"{len(wrong)} things were wrong.")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
