"""The options of ``python -m realtime`` and what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.output import check_writable
from realtime.run import Outputs
from realtime.sources.camera import AS_IT_IS, CameraMode
from realtime.sources.listing import Single, listed
from realtime.sources.open import camera_number
from realtime.sources.part import Part


class UsageError(Exception):
    """The options do not make a run; the message says which to give."""


@dataclass(frozen=True)
class Options:
    """Recognise facial expression and head pose in a camera or video.

    `python -m realtime demo` runs a clip that ships, `python -m realtime bench` measures the speed,
    `python -m realtime soak` a long run, `python -m realtime still` how still a face stands,
    `python -m realtime videos` reads many, `python -m realtime summary` sums them up.
    """

    camera: int | None = None
    """Number of a camera, usually 0."""
    source: tuple[str, ...] = ()
    """Videos, streams (rtsp://, http://), pictures, folders (their pictures, and the videos in them
    and below), patterns such as "*.mp4", or - for a video on standard input, one after another."""
    start: float = 0.0
    """Seconds of each video to begin with."""
    end: float | None = None
    """Seconds of each video to stop before."""
    every: int = 1
    """Look at one of so many frames."""
    camera_size: str | None = None
    """Width and height that a camera is asked for, as 1280x720."""
    camera_fps: float | None = None
    """Frames a second that a camera is asked for."""
    output: Path | None = None
    """Annotated video to write: .mp4 (H.264) or .webm (VP9)."""
    jsonl: Path | None = None
    """Records to write, one JSON line a frame."""
    csv: Path | None = None
    """Records to write, one row a face."""
    display: bool = True
    """Show a window."""
    max_faces: int | None = None
    """Keep only this many faces, the largest."""
    min_face: int = 40
    """Smallest face to look for, in pixels; larger is faster."""
    mirror: bool = False
    """Show and record the picture as in a mirror; the numbers stay those of the camera's image."""
    smoothing: float = 1.0
    """0 takes every frame by itself, larger is steadier."""
    neutral: Path | None = None
    """Reference of a resting face (.json) that the largest face is read against; in the window `n`
    captures one in two seconds."""
    save_neutral: Path | None = None
    """File (.json) to keep the captured reference in, numbers alone; without --neutral the first
    two seconds at rest are captured."""
    adapt: bool = False
    """Learn every face's rest slowly by itself; a faint expression held for minutes is lost."""
    profile: bool = False
    """Print at the end how long each stage took, and from a camera the age of what was shown."""
    profile_plot: Path | None = None
    """Picture (.png) to draw these times into, over the run (needs `pip install ".[measure]"`)."""
    device: str = "auto"
    """What to compute on: auto, cpu or cuda; of several GPUs, cuda:1 is the second."""
    backend: Literal["auto", "onnxruntime", "openvino", "tensorrt"] = "auto"
    """What to compute with."""
    precision: Literal["auto", "fp32", "fp16", "bf16", "int8"] = "auto"
    """How the expression network computes; auto takes the fastest that agrees with fp32."""
    detector_precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """How the networks that find faces compute."""
    model: str = "ipd_fer"
    """A model file, or the name of a shipped one."""
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    """From which level on to print what the library logs."""

    @property
    def sources(self) -> list[Single]:
        """What to look at, one after another; UsageError where that is not said, or said twice,
        SourceError where it is not there."""
        if self.camera is not None and not self.source:
            return [self.camera]
        if self.source and self.camera is None:
            return listed(list(self.source))
        raise UsageError("Say what to look at: --camera 0, or --source FILE_OR_URL_OR_FOLDER.")

    @property
    def part(self) -> Part:
        """What of each source to look at; UsageError where that leaves nothing."""
        with _usage():
            return Part(self.start, self.end, self.every)

    @property
    def camera_mode(self) -> CameraMode:
        """What a camera is asked for; UsageError for what no camera has."""
        size = re.fullmatch(r"([0-9]{1,5})[x×]([0-9]{1,5})", self.camera_size or "")
        if self.camera_size is not None and not size:
            raise UsageError(f"--camera-size {self.camera_size}: give it as 1280x720.")
        with _usage():
            mode = CameraMode((int(size[1]), int(size[2])) if size else None, self.camera_fps)
        cameras = [self.camera, *map(camera_number, self.source)]
        if mode != AS_IT_IS and all(camera is None for camera in cameras):
            raise UsageError("--camera-size and --camera-fps are asked of a camera: --camera 0.")
        return mode

    @property
    def outputs(self) -> Outputs:
        """The files to write."""
        return Outputs(self.output, self.jsonl, self.csv, self.save_neutral)


@contextmanager
def _usage() -> Iterator[None]:
    """A value that an option cannot have is told as a fault of the options."""
    try:
        yield
    except ValueError as error:
        raise UsageError(str(error)) from None


def check_outputs(options: Options, sources: list[Single]) -> None:
    """UsageError where writing one file would destroy another."""
    used = [Path(single).expanduser().resolve() for single in sources if isinstance(single, str)]
    kept = options.save_neutral
    if options.neutral and kept and options.neutral.resolve() == kept.resolve():
        kept = None  # a reference may be captured anew into the file it came from
    if options.save_neutral:
        check_writable(options.save_neutral)
    written = [options.output, options.jsonl, options.csv, options.profile_plot]
    written += [options.neutral, kept]
    for path in filter(None, written):
        if path.resolve() in used:
            raise UsageError(f"{path} is given twice; each output needs a file of its own.")
        used.append(path.resolve())
