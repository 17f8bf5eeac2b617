"""``python -m realtime bench``: how long a frame takes, stage by stage, beside PyTorch."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from tqdm import tqdm

from engine.benchmark import check_writable
from engine.session import EngineError
from realtime.detect import Detector
from realtime.pipeline import FacePipeline, Recogniser
from realtime.source import Frame, open_source
from realtime.timing import spread


@dataclass(frozen=True)
class BenchOptions:
    """Measure the pipeline on the frames of a video, already decoded, without drawing."""

    source: str = "tests/data/astronaut.mp4"
    """Video or pictures to take frames from."""
    frames: int = 100
    """At most how many frames to take."""
    repeats: int = 3
    """How often to run over them."""
    min_face: int = 40
    """Smallest face to look for, in pixels, on both sides."""
    model: str = "ipd_fer"
    """A model file, or the name of a shipped one."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    backend: Literal["auto", "onnxruntime"] = "auto"
    reference: bool = False
    """Time facenet-pytorch's MTCNN and the same branches in eager PyTorch on the same frames, in
    turn with ours (needs `pip install .[train]`)."""
    json: Path | None = None
    """File to write the measurements to."""


def bench_command(arguments: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    options = tyro.cli(BenchOptions, prog="python -m realtime bench", args=arguments)
    if options.json:
        check_writable(options.json)
    with open_source(options.source) as source:
        frames = list(islice(source, options.frames))
    recogniser = Recogniser(options.model, options.backend, options.device)
    detector = Detector(options.min_face, backend=options.backend, device=options.device)
    with FacePipeline(detector, recogniser) as pipeline:
        reference = Reference(recogniser, options.min_face) if options.reference else None
        measured = _measure(pipeline, frames, options.repeats, reference)
        measured["engine"] = recogniser.session.description
        measured["model_sha256"] = recogniser.session.sha256
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
        options.json.write_text(json.dumps(measured, indent=2) + "\n")
    return 0


def _measure(pipeline, frames: list[Frame], repeats: int, reference: Reference | None) -> dict:
    """Every frame by both sides in turn, so that a busy machine slows both alike."""
    ours, theirs, faces, reference_faces = [], [], [], []
    length = frames[-1].time + 1.0
    for repeat in tqdm(range(-1, repeats), desc="Measuring", leave=False, disable=None):
        if repeat == 0:  # the first round only warmed up
            pipeline.timer.clear()
            ours, theirs, faces, reference_faces = [], [], [], []
        for frame in frames:
            # Time must not go back between rounds: the tracker and the smoother rely on it.
            moved = Frame(frame.image, frame.index, frame.time + (repeat + 1) * length)
            started = time.perf_counter()
            faces.append(len(pipeline.process(moved)))
            ours.append(time.perf_counter() - started)
            if reference:
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
        reference.close()
    return result


class Reference:
    """facenet-pytorch's MTCNN and eager PyTorch in a process of their own, fed frame by frame.

    The application knows nothing of PyTorch; the other process is `python -m train reference`.
    """

    def __init__(self, recogniser: Recogniser, min_face: int):
        training = json.loads(recogniser.session.metadata.get("training", "{}"))
        if not {"network", "pose_network"} <= training.keys():
            raise EngineError(
                f"{recogniser.session.path.name} does not say which networks it holds, so the "
                "same ones cannot be built in PyTorch: leave out --reference."
            )
        networks = [training["network"], "--pose-network", training["pose_network"]]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "train", "reference", "--network", *networks]
            + ["--min-face", str(min_face)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.what = self._answer()["what"]

    def time(self, image: np.ndarray) -> tuple[float, int]:
        """Seconds that the reference took for `image` (uint8 H×W×3, RGB), and faces it found."""
        header = json.dumps(image.shape) + "\n"
        self._process.stdin.write(header.encode() + image.tobytes())
        self._process.stdin.flush()
        answer = self._answer()
        return answer["seconds"], answer["faces"]

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise EngineError("The reference stopped. Install it with `pip install .[train]`.")
        return json.loads(line)


def _table(measured: dict) -> str:
    width, height = measured["size"]
    lines = [
        f"{measured['source']}, {width}×{height}, {measured['faces_per_frame']:.2f} faces a frame",
        measured["engine"],
        f"{'stage':<12} {'median ms':>10} {'p95 ms':>8}",
    ]
    for stage, cell in [*measured["stages"].items(), ("whole frame", measured["frame"])]:
        lines.append(f"{stage:<12} {cell['median_ms']:>10.2f} {cell['p95_ms']:>8.2f}")
    if reference := measured.get("reference"):
        lines.append(
            f"{'reference':<12} {reference['median_ms']:>10.2f} {reference['p95_ms']:>8.2f}  "
            f"{reference['what']}, {reference['faces_per_frame']:.2f} faces a frame"
        )
        lines.append(f"{measured['speedup']:.1f}× as fast as the reference (ratio of medians)")
    return "\n".join(lines)
