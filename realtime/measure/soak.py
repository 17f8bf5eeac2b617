"""``python -m realtime soak``: does a long run slow down, grow, or fall behind?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import count, islice
from pathlib import Path

import numpy as np
import tyro
from tqdm import tqdm

from engine.contract import EngineError
from engine.output import check_writable, program, write
from realtime.clips import CLIP
from realtime.faces import Face
from realtime.measure.memory import resident_memory
from realtime.output.overlay import draw
from realtime.pipeline import FacePipeline, open_pipeline
from realtime.sources.frame import Frame, Source
from realtime.sources.live import LiveFeed
from realtime.sources.open import open_source

TURNS = 4
"""Clips that the old and a fresh pipeline are compared on."""


@dataclass(frozen=True)
class SoakOptions:
    """Loop a clip through the pipeline and the overlay; watch memory, speed and age."""

    source: str = str(CLIP)
    """The clip, held in memory."""
    frames: int = 100_000
    """How many frames to process."""
    camera_fps: float | None = None
    """Play the clip like a camera with this many frames a second, of which the newest wins, and
    watch the age of what is shown; as fast as can be otherwise."""
    min_face: int = 40
    """Smallest face to look for, in pixels."""
    model: str = "ipd_fer"
    """A model file, or the name of a shipped one."""
    json: Path | None = None
    """File to write the measurements to."""


@dataclass(frozen=True)
class Soak:
    """Resident memory in MB; of the first and the last thousand frames the median milliseconds
    from frame to overlay and the mean milliseconds of processor time; at the end the median
    milliseconds beside those of a fresh pipeline, for the machine itself is not as fast at all
    times; from a camera the median age in milliseconds, capture to overlay, and the frames left
    out; ids given out."""

    frames: int
    memory_after_first_thousand: float
    memory_at_end: float
    growth: float
    start_ms: float
    end_ms: float
    start_cpu_ms: float
    end_cpu_ms: float
    old_ms: float | None
    fresh_ms: float | None
    slowdown_percent: float | None
    start_age_ms: float | None
    end_age_ms: float | None
    dropped: int | None
    ids: int


def soak_command(arguments: list[str]) -> int:
    """Run the soak; returns the exit code."""
    name = program("ipd-fer", "python -m realtime")
    options = tyro.cli(SoakOptions, prog=f"{name} soak", args=arguments)
    if options.frames < 1:
        raise EngineError(f"{options.frames} frames measure nothing: use 1 or more.")
    if options.camera_fps is not None and options.camera_fps <= 0:
        raise EngineError(f"A camera of {options.camera_fps:g} frames a second gives none.")
    if options.json:
        check_writable(options.json)
    with open_source(options.source) as source:
        clip = list(source)
    with _pipeline(options) as pipeline:
        if options.camera_fps is None:
            frames = _looped(clip)
            result = soak(pipeline, frames, options.frames, len(clip))
            with _pipeline(options) as fresh:
                result = beside(result, (pipeline, frames), (fresh, _looped(clip)), len(clip))
        else:
            with LiveFeed(_ClipCamera(clip, options.camera_fps), reopen=_never) as feed:
                shown = (view.frame for view in feed if view.frame)
                result = soak(pipeline, shown, options.frames, len(clip))
                result = replace(result, dropped=feed.dropped)
    for name, value in asdict(result).items():
        if value is not None:
            print(f"{name.replace('_', ' '):<28} {value:,.2f}".removesuffix(".00"))
    if options.json:
        write(options.json, (json.dumps(asdict(result), indent=2) + "\n").encode())
    return 0


def soak(pipeline: FacePipeline, frames: Iterator[Frame], number: int, loop: int) -> Soak:
    """Run `number` frames of a clip that is `loop` frames long; the first and the last thousand,
    or as many whole loops as they hold, are compared."""
    seconds, processor, ages = np.zeros(number), np.zeros(number), np.full(number, np.nan)
    ids, early = 0, 0.0
    for index, frame in zip(tqdm(range(number), disable=None, leave=False), frames, strict=False):
        worked = time.process_time()
        faces, seconds[index] = _one(pipeline, frame)
        processor[index] = time.process_time() - worked
        if frame.captured is not None:
            ages[index] = time.monotonic() - frame.captured
        ids = max([ids, *(1 + (face.track_id or 0) for face in faces)])  # they count up from 0
        if index == min(1000, number // 2):
            early = resident_memory()
    length = max(1, min(1000, number // 4))
    length -= length % loop if length > loop else 0
    warm = min(loop, number // 2)  # the very first loop warms caches and threads up
    parts = slice(warm, warm + length), slice(-length, None)
    start, end = (1000 * float(np.median(seconds[part])) for part in parts)
    start_cpu, end_cpu = (1000 * float(np.mean(processor[part])) for part in parts)
    start_age, end_age = (1000 * float(np.median(ages[part])) for part in parts)
    live = not np.isnan(start_age)
    now = resident_memory()
    return Soak(
        frames=number,
        memory_after_first_thousand=early,
        memory_at_end=now,
        growth=now - early,
        start_ms=start,
        end_ms=end,
        start_cpu_ms=start_cpu,
        end_cpu_ms=end_cpu,
        old_ms=None,
        fresh_ms=None,
        slowdown_percent=None,
        start_age_ms=start_age if live else None,
        end_age_ms=end_age if live else None,
        dropped=None,
        ids=ids,
    )


def beside(result: Soak, old: tuple, fresh: tuple, loop: int) -> Soak:
    """The result with how fast the old pipeline is beside a fresh one. Each comes with its frames;
    they take turns of a whole clip, of which the first is not counted."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(2 * (1 + TURNS)):
        pipeline, frames = (old, fresh)[turn % 2]
        taken = [_one(pipeline, frame)[1] for frame in islice(frames, loop)]
        if turn > 1:
            seconds[turn % 2].extend(taken)
    old_ms, fresh_ms = (1000 * float(np.median(each)) for each in seconds)
    slowdown = 100 * (old_ms / fresh_ms - 1)
    return replace(result, old_ms=old_ms, fresh_ms=fresh_ms, slowdown_percent=slowdown)


def _one(pipeline: FacePipeline, frame: Frame) -> tuple[list[Face], float]:
    """The faces of a frame, and the seconds that they and their overlay took."""
    picture = frame.image.copy()
    started = time.perf_counter()
    faces = pipeline.process(frame)
    draw(picture, faces)
    return faces, time.perf_counter() - started


def _pipeline(options: SoakOptions) -> FacePipeline:
    return open_pipeline(options.model, min_face=options.min_face)


class _ClipCamera(Source):
    """A clip that comes again and again at the pace of a camera."""

    name, live = "The clip", True

    def __init__(self, clip: list[Frame], fps: float):
        self._clip, self.fps, self._gap = clip, fps, 1 / fps
        self._measure(clip[0].image)

    def __iter__(self) -> Iterator[Frame]:
        started = time.monotonic()
        for frame in _looped(self._clip):
            time.sleep(max(0.0, started + frame.index * self._gap - time.monotonic()))
            yield frame


def _never() -> Source:
    raise AssertionError("The clip never ends, so it is never opened again.")


def _looped(clip: list[Frame]) -> Iterator[Frame]:
    """The clip again and again; time goes on."""
    length = clip[-1].time + (clip[-1].time / max(1, len(clip) - 1))
    for turn in count():
        for frame in clip:
            index = turn * len(clip) + frame.index
            yield Frame(frame.image, index, turn * length + frame.time)
