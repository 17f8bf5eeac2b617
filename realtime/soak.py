"""``python -m realtime soak``: does a long run slow down, grow, or fall behind?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import numpy as np
import tyro
from tqdm import tqdm

from engine.output import check_writable, write
from engine.session import EngineError
from realtime.detect import Detector
from realtime.overlay import draw
from realtime.pipeline import FacePipeline, Recogniser
from realtime.source import Frame, open_source


@dataclass(frozen=True)
class SoakOptions:
    """Loop a clip through the pipeline and the overlay; watch memory and speed."""

    source: str = "tests/data/astronaut.mp4"
    """The clip, held in memory."""
    frames: int = 100_000
    """How many frames to process."""
    min_face: int = 40
    """Smallest face to look for, in pixels."""
    model: str = "ipd_fer"
    """A model file, or the name of a shipped one."""
    json: Path | None = None
    """File to write the measurements to."""


@dataclass(frozen=True)
class Soak:
    """Resident memory in MB, milliseconds a frame (medians), ids given out."""

    frames: int
    memory_after_first_thousand: float
    memory_at_end: float
    growth: float
    start_ms: float
    end_ms: float
    slowdown_percent: float
    ids: int


def soak_command(arguments: list[str]) -> int:
    """Run the soak; returns the exit code."""
    options = tyro.cli(SoakOptions, prog="python -m realtime soak", args=arguments)
    if options.frames < 1:
        raise EngineError(f"{options.frames} frames measure nothing: use 1 or more.")
    if options.json:
        check_writable(options.json)
    with open_source(options.source) as source:
        clip = list(source)
    recogniser, detector = Recogniser(options.model), Detector(options.min_face)
    with FacePipeline(detector, recogniser) as pipeline:
        result = soak(pipeline, clip, options.frames)
    for name, value in asdict(result).items():
        print(f"{name.replace('_', ' '):<28} {value:,.2f}".removesuffix(".00"))
    if options.json:
        write(options.json, (json.dumps(asdict(result), indent=2) + "\n").encode())
    return 0


def soak(pipeline: FacePipeline, clip: list[Frame], frames: int) -> Soak:
    """Run `frames` frames of the looping clip; the first and last whole loops are compared."""
    seconds, ids, early = np.zeros(frames), set(), 0.0
    for index, frame in zip(tqdm(range(frames), disable=None, leave=False), _looped(clip)):
        picture = frame.image.copy()
        started = time.perf_counter()
        faces = pipeline.process(frame)
        draw(picture, faces)
        seconds[index] = time.perf_counter() - started
        ids.update(face.track_id for face in faces)
        if index == min(1000, frames // 2):
            early = resident_memory()
    loops = len(clip) * max(1, min(1000, frames // 4) // len(clip))
    # The very first loop warms caches and threads up.
    first, last = seconds[len(clip) : len(clip) + loops], seconds[-loops:]
    start, end = (1000 * float(np.median(part)) for part in (first, last))
    now = resident_memory()
    return Soak(frames, early, now, now - early, start, end, 100 * (end / start - 1), len(ids))


def _looped(clip: list[Frame]) -> Iterator[Frame]:
    """The clip again and again; time goes on."""
    length = clip[-1].time + (clip[-1].time / max(1, len(clip) - 1))
    for turn in count():
        for frame in clip:
            index = turn * len(clip) + frame.index
            yield Frame(frame.image, index, turn * length + frame.time)


def resident_memory() -> float:
    """Memory of this process in MB; only Linux tells it without another library."""
    statistics = Path("/proc/self/status")
    if not statistics.exists():
        return float("nan")
    (line,) = (line for line in statistics.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
