"""``python -m realtime bench``: how long a frame takes, stage by stage, beside PyTorch."""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import tyro
from tqdm import tqdm

from engine.contract import EngineError
from engine.measure.reference import TorchReference
from engine.output import check_writable, program, write
from realtime.ahead import read_ahead
from realtime.align import similarity_transform
from realtime.clips import CLIP
from realtime.measure.memory import resident_memory
from realtime.pipeline import FacePipeline, open_pipeline
from realtime.sources.frame import Frame
from realtime.sources.open import open_source
from realtime.timing import spread, table

TURN = 25
"""Frames of a turn. Switching at every frame would measure how fast a cache fills."""

LONG = 1e6
"""Seconds by which a round is later than the one before, so that time never goes back."""


@dataclass(frozen=True)
class BenchOptions:
    """Measure the pipeline on the frames of a video, without drawing.

    "whole frame" is all that happens to a frame once it is decoded, stage by stage and beside the
    reference; the search runs beside the other stages. "one by one" is the time from the file to
    the faces where nothing overlaps, "overlapped" that between the faces of one frame and the next
    where decoding runs ahead, as the program does it.
    """

    source: str = str(CLIP)
    """Video or pictures to take frames from."""
    frames: int = 100
    """At most how many frames to take."""
    repeats: int = 3
    """How often to run over them."""
    faces: int | None = None
    """Fill every frame with this many copies of its largest face instead."""
    min_face: int = 40
    """Smallest face to look for, in pixels, on both sides."""
    model: str = "ipd_fer"
    """A model file, or the name of a shipped one."""
    device: str = "auto"
    backend: Literal["auto", "onnxruntime", "openvino", "tensorrt"] = "auto"
    precision: Literal["auto", "fp32", "fp16", "bf16", "int8"] = "auto"
    reference: bool = False
    """Time facenet-pytorch's MTCNN and the same branches in eager PyTorch on the same frames, in
    turn with ours (needs `pip install .[train]`)."""
    json: Path | None = None
    """File to write the measurements to."""


def bench_command(arguments: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    name = program("ipd-fer", "python -m realtime")
    options = tyro.cli(BenchOptions, prog=f"{name} bench", args=arguments)
    if min(options.frames, options.repeats) < 1 or (options.faces or 1) < 1:
        raise EngineError("Nothing would be measured: use 1 or more frames, repeats and faces.")
    if options.json:
        check_writable(options.json)
    with ExitStack() as stack:
        pipeline = stack.enter_context(
            open_pipeline(
                options.model,
                min_face=options.min_face,
                backend=options.backend,
                device=options.device,
                precision=options.precision,
            )
        )
        session = pipeline.recogniser.session
        from_file = {} if options.faces else _from_file(pipeline, options)
        with open_source(options.source) as source:
            frames = list(islice(source, options.frames))
        if options.faces:
            frames = _crowded(frames, pipeline, options.faces)
        reference = None
        if options.reference:
            reference = stack.enter_context(TorchReference(session, options.min_face))
        measured = _measure(pipeline, frames, options.repeats, reference) | from_file
        measured["engine"] = session.description
        measured["model_sha256"] = session.sha256
    measured |= {
        "source": options.source,
        "size": [frames[0].image.shape[1], frames[0].image.shape[0]],
        "frames": len(frames),
        "repeats": options.repeats,
        "min_face": options.min_face,
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
    }
    print(_table(measured))
    if options.json:
        write(options.json, (json.dumps(measured, indent=2) + "\n").encode())
    return 0


def _from_file(pipeline: FacePipeline, options: BenchOptions) -> dict:
    """Times from the file to the faces, and the memory that this takes, in MB."""
    rounds: list[tuple[list[float], list[float]]] = []
    for _ in range(-1, options.repeats):
        for ahead in (False, True):
            with ExitStack() as stack:
                frames: Iterable[Frame] = stack.enter_context(open_source(options.source))
                if ahead:
                    frames = stack.enter_context(closing(read_ahead(frames)))
                start = (len(rounds) + 1) * LONG
                rounds.append(_paced(pipeline, islice(frames, options.frames), start))
    measured = rounds[2:]  # the first two only warmed up
    return {
        "decode": spread(np.concatenate([reading for reading, _ in measured[::2]])),
        "one_by_one": spread(np.concatenate([whole for _, whole in measured[::2]])),
        "overlapped": spread(np.concatenate([whole for _, whole in measured[1::2]])),
        "memory_mb": resident_memory(),
    }


def _paced(pipeline, frames: Iterable[Frame], start: float) -> tuple[list[float], list[float]]:
    """For each frame the seconds until it was read, and those until its faces were known, both
    from the faces of the frame before. start: time of the first frame."""
    reading, whole = [], []
    before = time.perf_counter()
    for frame in frames:
        reading.append(time.perf_counter() - before)
        pipeline.process(replace(frame, time=start + frame.time))
        now = time.perf_counter()
        whole.append(now - before)
        before = now
    return reading, whole


def _crowded(frames: list[Frame], pipeline: FacePipeline, count: int) -> list[Frame]:
    """The frames in which a face is followed, each a grid of `count` copies of its largest face."""
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    crowded = []
    for frame in frames:
        height, width = frame.image.shape[:2]
        cell = min(width // columns, height // rows)
        for face in pipeline.process(frame)[:1]:
            # The face with as much again around it, a copy in each cell.
            around = similarity_transform(
                face.box.reshape(2, 2), cell * np.array([[0.25] * 2, [0.75] * 2])
            )
            copy = cv2.warpAffine(
                frame.image, around, (cell, cell), borderMode=cv2.BORDER_REPLICATE
            )
            image = np.full_like(frame.image, 128)
            for index in range(count):
                y, x = cell * (index // columns), cell * (index % columns)
                image[y : y + cell, x : x + cell] = copy
            crowded.append(Frame(image, frame.index, frame.time))
    if not crowded:
        raise EngineError("No face was found to make copies of; give another --source.")
    return crowded


def _measure(pipeline, frames: list[Frame], repeats: int, reference: TorchReference | None) -> dict:
    """Every frame by both sides, in turns of a second, so that a busy machine slows both alike."""
    ours: list[float] = []
    theirs: list[float] = []
    faces: list[int] = []
    reference_faces: list[int] = []
    turns = [frames[start : start + TURN] for start in range(0, len(frames), TURN)]
    for repeat in tqdm(range(-1, repeats), desc="Measuring", leave=False, disable=None):
        if repeat == 0:  # the first round only warmed up
            pipeline.timer.clear()
            for measured in (ours, theirs, faces, reference_faces):
                measured.clear()
        for turn in turns:
            for frame in turn:
                # Time must not go back between rounds: the tracker and the smoother rely on it.
                moved = replace(frame, time=frame.time + (2 * repeats + repeat + 4) * LONG)
                started = time.perf_counter()
                faces.append(len(pipeline.process(moved)))
                ours.append(time.perf_counter() - started)
            for frame in turn:
                if reference is None:
                    break
                seconds, count = reference.time(frame.image)
                theirs.append(seconds)
                reference_faces.append(count)
    result = {
        "faces_per_frame": float(np.mean(faces)),
        "stages": pipeline.timer.summary(),
        "frame": spread(ours),
    }
    if reference:
        result["reference"] = spread(theirs) | {
            "what": reference.what,
            "faces_per_frame": float(np.mean(reference_faces)),
        }
        result["speedup"] = result["reference"]["median_ms"] / result["frame"]["median_ms"]
    return result


def _table(measured: dict) -> str:
    width, height = measured["size"]
    lines = [
        f"{measured['source']}, {width}×{height}, {measured['faces_per_frame']:.2f} faces a frame",
        measured["engine"],
        table(measured["stages"] | {"whole frame": measured["frame"]}),
    ]
    for name in ("decode", "one_by_one", "overlapped"):
        if cell := measured.get(name):
            title = name.replace("_", " ")
            lines.append(f"{title:<12} {cell['median_ms']:>10.2f} {cell['p95_ms']:>8.2f}")
    if "memory_mb" in measured:
        lines.append(f"{measured['memory_mb']:.0f} MB of memory")
    if reference := measured.get("reference"):
        lines.append(
            f"{'reference':<12} {reference['median_ms']:>10.2f} {reference['p95_ms']:>8.2f}  "
            f"{reference['what']}, {reference['faces_per_frame']:.2f} faces a frame"
        )
        lines.append(f"{measured['speedup']:.1f}× as fast as the reference (ratio of medians)")
    return "\n".join(lines)
