"""The faces of a video file: annotated video, records and a timeline."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from realtime.run import Outputs, Run
from realtime.sources.frame import Source, SourceError
from realtime.sources.isolated import IsolatedVideo
from realtime.sources.live import View
from realtime.sources.video import VideoLimits
from realtime.web.checks import (
    FULL_HD,
    VIDEO_FRAMES,
    VIDEO_PIXELS,
    VIDEO_SECONDS,
    VIDEO_WORK,
    Refused,
)
from realtime.web.networks import Networks

POINTS = 600
"""Samples that a timeline keeps of each face: more than it has pixels to show them."""

FACES = 50
"""Faces that a timeline keeps."""


class Cancelled(Exception):
    """The visitor cancelled, or left."""


@dataclass(frozen=True, slots=True)
class VideoResult:
    """annotated: H.264 in MP4, without sound. csv, jsonl: as the command line writes them.
    timeline: see :func:`timeline_of`. frames: how many were read. summary: what was seen, one row
    an id, as text. trouble: where the video broke off, None where it is whole."""

    annotated: Path
    csv: Path
    jsonl: Path
    timeline: dict
    frames: int
    summary: str
    trouble: str | None


def recognise_video(
    path: Path,
    networks: Networks,
    folder: Path,
    progress: Callable[[int, int | None], None],
    stop: threading.Event,
    clock: Callable[[], float] = time.monotonic,
) -> VideoResult:
    """Runs the video in `path` through the pipeline; files are written into `folder`.

    progress: is called with the frames done and, where known, those to expect. clock: seconds, by
    which it breaks off after VIDEO_WORK. Raises Refused for what is no video or passes the limits,
    and Cancelled soon after `stop` is set.
    """
    annotated, jsonl, csv = (
        folder / name for name in ("annotated.mp4", "faces.jsonl", "faces.csv")
    )
    trouble = None
    try:
        limits = VideoLimits(VIDEO_PIXELS, shown=FULL_HD, strange=True)
        source = IsolatedVideo(path, path.name, limits)
    except SourceError as error:
        raise Refused(str(error)) from None
    with source, networks.pipeline() as pipeline:
        if source.frames and source.fps and source.frames / source.fps > VIDEO_SECONDS + 1:
            raise _too_long(source)
        if source.frames and source.frames > VIDEO_FRAMES:
            raise _too_many(source)
        with Run(source, pipeline, Outputs(annotated, jsonl, csv)) as run:
            try:
                run.process(_in_time(_views(source, progress, stop), source.name, clock))
            except SourceError as error:
                # Everything up to the damage was read and is worth showing.
                trouble = str(error)
    seen = run.summary
    return VideoResult(
        annotated, csv, jsonl, timeline_of(jsonl), seen.frames, seen.table(), trouble
    )


def _too_long(source: Source) -> Refused:
    return Refused(
        f"{source.name} is longer than {VIDEO_SECONDS // 60} minutes. Cut it and try again."
    )


def _too_many(source: Source) -> Refused:
    return Refused(
        f"{source.name} has more than {VIDEO_FRAMES} frames. Cut it, or save it with fewer frames "
        "a second, and try again."
    )


def _views(source: Source, progress, stop: threading.Event) -> Iterator[View]:
    for frame in source:
        if stop.is_set():
            raise Cancelled
        # What a header promises need not be true.
        if frame.time > VIDEO_SECONDS + 1:
            raise _too_long(source)
        if frame.index >= VIDEO_FRAMES:
            raise _too_many(source)
        progress(frame.index, source.frames)
        yield View(frame, None)


def _in_time(views: Iterator[View], name: str, clock: Callable[[], float]) -> Iterator[View]:
    end = clock() + VIDEO_WORK
    for view in views:
        yield view
        if clock() > end:
            done = view.frame.time if view.frame else 0.0
            raise SourceError(
                f"{name} takes longer than {VIDEO_WORK // 60} minutes here, so it breaks off after "
                f"{done:.0f} s. Cut it, or make it smaller, and try again."
            )


def timeline_of(jsonl: Path) -> dict:
    """What a plot over time needs, from the records of a run.

    `length`: seconds. `gap`: seconds without a sample after which a line is broken. `faces`: by
    id, the :data:`FACES` seen longest, the longest first, samples of time, the probabilities of
    EXPRESSIONS, yaw, pitch and roll; at most about :data:`POINTS` each.
    """
    counts: Counter[int] = Counter()
    length = 0.0
    for record in _records(jsonl):  # twice from the file: all of it may not fit into memory
        length = record["time"]
        counts.update(face["id"] for face in record["faces"])
    step = length / POINTS
    faces: dict[int, list[list[float]]] = {
        track_id: [] for track_id, _ in counts.most_common(FACES)
    }
    for record in _records(jsonl):
        for face in record["faces"]:
            samples = faces.get(face["id"])
            if samples is None or (samples and record["time"] - samples[-1][0] < step):
                continue
            probabilities = face["expression"]["probabilities"].values()
            samples.append([record["time"], *probabilities, *face["pose"].values()])
    return {
        "length": length,
        "gap": max(0.3, 3 * step),
        "faces": [{"id": track_id, "samples": samples} for track_id, samples in faces.items()],
    }


def _records(jsonl: Path) -> Iterator[dict]:
    with jsonl.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
