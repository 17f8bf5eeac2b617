"""``python -m realtime demo``: the clip that ships, through the program as anybody's video goes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

import tyro

from engine.output import program
from realtime.clips import CLIP

VIDEO, RECORDS = Path("annotated.mp4"), Path("faces.jsonl")


@dataclass(frozen=True)
class DemoOptions:
    """Run the clip that ships, and write an annotated video and records of it.

    They are called annotated.mp4 and faces.jsonl, annotated-1.mp4 and faces-1.jsonl where one of
    these is there, and so on: nothing is overwritten.
    """

    folder: Path = Path()
    """Folder to write them to, the current one if none is given."""


def demo_command(arguments: list[str], recognise: Callable[[list[str]], int]) -> int:
    """Run the demo; returns the exit code. recognise: runs `python -m realtime` with arguments."""
    name = program("ipd-fer", "python -m realtime")
    options = tyro.cli(DemoOptions, prog=f"{name} demo", args=arguments)
    video, records = map(str, _free_names(options.folder))
    written = ["--output", video, "--jsonl", records]
    code = recognise(["--source", str(CLIP), "--no-display", *written])
    if code == 0:
        print(f"Written: {video} and {records}\nYour own camera: {name} --camera 0")
    return code


def _free_names(folder: Path) -> list[Path]:
    """Paths for the video and the records that no file has yet, with one number for both."""
    for extra in chain([""], (f"-{number}" for number in count(1))):
        paths = [folder / f"{name.stem}{extra}{name.suffix}" for name in (VIDEO, RECORDS)]
        if not any(map(os.path.lexists, paths)):
            break
    return paths
