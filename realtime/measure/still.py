"""``python -m realtime still``: how still a still face stands before a noisy camera."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro
from tqdm import tqdm

from engine.contract import EngineError
from engine.output import check_writable, program, write
from realtime.clips import CLIP
from realtime.faces import Face
from realtime.pipeline import FacePipeline, open_pipeline
from realtime.smooth import Smoother
from realtime.sources.frame import Frame
from realtime.sources.open import open_source

FPS = 30.0

SETTLING = 30
"""Frames at the start that do not count: a face just found still moves to where it will stand."""


@dataclass(frozen=True)
class StillOptions:
    """Show the first picture of a source again and again, each time with other noise."""

    source: str = str(CLIP)
    """Video or picture with a face."""
    frames: int = 1000
    """How many frames to show, 30 a second."""
    noise: float = 2.0
    """Standard deviation of the noise, in grey levels of 255, by itself in every pixel and colour;
    2 is a webcam by daylight, 5 one in a dim room."""
    smoothing: float = 1.0
    """As in `python -m realtime`."""
    model: str = "ipd_fer"
    """A model file, or the name of a shipped one."""
    json: Path | None = None
    """File to write the measurements to."""


@dataclass(frozen=True)
class Jitter:
    """Standard deviations over the frames after the first second, of what varies most: a side of
    the box and a coordinate of a landmark in pixels, an angle of the pose in degrees, the
    probability of an expression; and how often the label changed."""

    box_px: float
    landmarks_px: float
    pose_degrees: float
    probability: float
    label_changes: int


def still_command(arguments: list[str]) -> int:
    """Run the measurement; returns the exit code."""
    name = program("ipd-fer", "python -m realtime")
    options = tyro.cli(StillOptions, prog=f"{name} still", args=arguments)
    if options.frames < SETTLING + 2 or options.noise < 0:
        raise EngineError(f"Use {SETTLING + 2} or more frames, and noise of 0 or more.")
    if options.json:
        check_writable(options.json)
    with open_source(options.source) as source:
        image = next(iter(source)).image
    with open_pipeline(options.model, smoothing=0.0) as pipeline:
        raw, smoothed = still(pipeline, image, options.frames, options.noise, options.smoothing)
    print(f"{'standard deviation':<20} {'raw':>8} {'smoothed':>9}")
    for name, value in asdict(raw).items():
        print(f"{name.replace('_', ' '):<20} {value:>8.3g} {asdict(smoothed)[name]:>9.3g}")
    if options.json:
        measured = {"raw": asdict(raw), "smoothed": asdict(smoothed)}
        write(options.json, (json.dumps(measured, indent=2) + "\n").encode())
    return 0


def still(
    pipeline: FacePipeline, image: np.ndarray, frames: int, noise: float, smoothing: float
) -> tuple[Jitter, Jitter]:
    """The jitter of the largest face in `image` (uint8 H×W×3 RGB), raw and smoothed.

    pipeline: one that does not smooth. EngineError where no face is found, or it is lost.
    """
    random, smoother = np.random.default_rng(0), Smoother(smoothing)
    raw, smoothed = [], []
    for index in tqdm(range(frames), disable=None, leave=False):
        noisy = np.clip(random.normal(image, noise), 0, 255).astype(np.uint8)
        found = pipeline.process(Frame(noisy, index, index / FPS))
        if not found:
            raise EngineError(f"No face was found in frame {index}; give another --source.")
        raw.append(found[0])
        smoothed += smoother.update(found[:1], index / FPS)
    return _jitter(raw[SETTLING:]), _jitter(smoothed[SETTLING:])


def _jitter(faces: list[Face]) -> Jitter:
    poses = [face.pose for face in faces if face.pose]
    angles = [[pose.yaw, pose.pitch, pose.roll] for pose in poses]
    labels = [face.label for face in faces]

    def most(values) -> float:
        return float(np.std(np.array(values, np.float64), axis=0).max())

    return Jitter(
        box_px=most([face.box for face in faces]),
        landmarks_px=most([face.landmarks for face in faces]),
        pose_degrees=most(angles),
        probability=most([face.expression for face in faces]),
        label_changes=sum(a != b for a, b in itertools.pairwise(labels)),
    )
