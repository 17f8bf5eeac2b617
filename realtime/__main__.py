"""``python -m realtime``: the command line, nothing else."""

from __future__ import annotations

import math
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from engine.contract import EngineError
from engine.output import check_writable, printing, write
from realtime.ahead import read_ahead
from realtime.capture import CaptureError
from realtime.detection.mtcnn import DetectorError
from realtime.neutral import NeutralFaces
from realtime.output.files import SinkError
from realtime.output.window import Window, display_problem
from realtime.pipeline import FacePipeline, open_pipeline
from realtime.reference import ReferenceFileError
from realtime.run import Outputs, Run
from realtime.sources.frame import Source, SourceError
from realtime.sources.live import SILENCE, LiveFeed, View
from realtime.sources.open import open_source
from realtime.timing import StageTimer, table


class UsageError(Exception):
    """The options do not make a run; the message says which to give."""


ERRORS = (
    *(CaptureError, DetectorError, EngineError, ReferenceFileError, SinkError, SourceError),
    UsageError,
)
"""What ends a run with one line that tells the fix."""


@dataclass(frozen=True)
class Options:
    """Recognise facial expression and head pose in a camera or video.

    `python -m realtime bench` measures the speed instead, `python -m realtime soak` a long run,
    `python -m realtime still` how still a face stands.
    """

    camera: int | None = None
    """Number of a camera, usually 0."""
    source: str | None = None
    """A video, a stream (rtsp://, http://), a picture or a folder of pictures."""
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
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """What to compute on."""
    backend: Literal["auto", "onnxruntime", "openvino", "tensorrt"] = "auto"
    """What to compute with."""
    precision: Literal["auto", "fp32", "fp16", "bf16", "int8"] = "auto"
    """How the expression network computes; auto takes the fastest that agrees with fp32."""
    detector_precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """How the networks that find faces compute."""
    model: str = "ipd_fer"
    """A model file, or the name of a shipped one."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # A polite `kill` ends a run as Ctrl-C does: with whole files.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if arguments[:1] == ["bench"]:
            from realtime.measure.bench import bench_command

            return bench_command(arguments[1:])
        if arguments[:1] == ["soak"]:
            from realtime.measure.soak import soak_command

            return soak_command(arguments[1:])
        if arguments[:1] == ["still"]:
            from realtime.measure.still import still_command

            return still_command(arguments[1:])
        return _recognise(tyro.cli(Options, prog="python -m realtime", args=arguments))
    except ERRORS as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, (DetectorError, UsageError)) else 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _recognise(options: Options) -> int:
    spec = _wanted(options)
    outputs = Outputs(options.output, options.jsonl, options.csv, options.save_neutral)
    _check_outputs(options, outputs)
    plot = _plotter(options.profile_plot) if options.profile_plot else None
    with ExitStack() as stack:
        windowed = _wants_window(options, outputs)
        source = _opened(spec)
        owned = stack.enter_context(ExitStack())
        owned.callback(source.close)
        pipeline = stack.enter_context(_pipeline(options, source.still))
        _use_references(options, pipeline.neutral, source.still)
        _print_networks(pipeline)
        window = stack.enter_context(Window("Expression and head pose")) if windowed else None
        neutral = pipeline.neutral
        run = stack.enter_context(Run(source, pipeline, outputs, window, options.mirror, neutral))
        size = f"{source.width}×{source.height}"
        print(
            f"Source   {source.name}, {size}"
            + (f", {source.fps:.4g} frames/s" if source.fps else "")
        )
        if source.live:
            feed = LiveFeed(source, reopen=lambda: open_source(spec))
            owned.pop_all()  # the feed closes what it reads
            views: Iterable[View] = stack.enter_context(feed)
        else:
            frames = stack.enter_context(closing(read_ahead(source)))
            views = (View(frame, None) for frame in frames)
        try:
            run.process(views)
        finally:
            print(f"{run.summary.frames} frames\n{run.summary.table()}")
            if options.profile:
                print(table(pipeline.timer.summary()))
            if plot:
                plot(pipeline.timer)
    if options.save_neutral and not (run.kept or options.neutral):
        raise CaptureError(
            f"{options.save_neutral} was not written, for no face rested for two seconds: look at "
            "the camera and keep still."
        )
    return 0


def _wanted(options: Options) -> str | int:
    """What to look at; UsageError where that is not said, or said twice."""
    if options.camera is not None and options.source is None:
        return options.camera
    if options.source is not None and options.camera is None:
        return options.source
    raise UsageError("Say what to look at: --camera 0, or --source FILE_OR_URL_OR_FOLDER.")


def _use_references(options: Options, neutral: NeutralFaces, still: bool) -> None:
    """What is known from the start of the faces' rest; ReferenceFileError where it is of no use."""
    if not (options.neutral or options.save_neutral or options.adapt):
        return
    if still:
        raise UsageError(
            "--neutral, --save-neutral and --adapt follow a face over time: give a camera or video."
        )
    _ = neutral.population  # a model that lacks one is told now
    neutral.adapt = options.adapt
    if options.neutral:
        neutral.load(options.neutral)
    elif options.save_neutral:
        neutral.begin_capture()


def _plotter(path: Path) -> Callable[[StageTimer], None]:
    """What draws the times of a run into a file; an error now where it could not do so then."""
    check_writable(path)
    try:
        from realtime.measure.plot import plot
    except ModuleNotFoundError:
        raise UsageError('--profile-plot needs matplotlib: pip install ".[measure]"') from None
    return lambda timer: write(path, plot(timer.series()))


def _check_outputs(options: Options, outputs: Outputs) -> None:
    """UsageError where writing one file would destroy another."""
    used = [Path(options.source).resolve()] if options.source else []
    kept = options.save_neutral
    if options.neutral and kept and options.neutral.resolve() == kept.resolve():
        kept = None  # a reference may be captured anew into the file it came from
    if options.save_neutral:
        check_writable(options.save_neutral)
    written = [outputs.video, outputs.jsonl, outputs.csv, options.profile_plot]
    written += [options.neutral, kept]
    for path in filter(None, written):
        if path.resolve() in used:
            raise UsageError(f"{path} is given twice; each output needs a file of its own.")
        used.append(path.resolve())


def _opened(spec: str | int) -> Source:
    """The source; says so where it is slow to open."""
    words = "The source takes its time to open; waiting for it."
    notice = threading.Timer(SILENCE, print, [words], {"file": sys.stderr})
    notice.daemon = True
    notice.start()
    try:
        return open_source(spec)
    finally:
        notice.cancel()


def _wants_window(options: Options, outputs: Outputs) -> bool:
    """Whether to open a window; UsageError where the run would then have no effect at all."""
    written = outputs.video or outputs.jsonl or outputs.csv or outputs.neutral
    problem = display_problem() if options.display else "Without a window nothing is shown."
    if problem and not written:
        raise UsageError(f"{problem} Write something: --output VIDEO, --jsonl FILE or --csv FILE.")
    if problem and options.display:
        print(f"{problem} Running without a window.")
    return not problem


def _pipeline(options: Options, still: bool) -> FacePipeline:
    if not 0 <= options.smoothing < math.inf:
        raise UsageError(f"--smoothing {options.smoothing}: give 0 or more.")
    return open_pipeline(
        options.model,
        min_face=options.min_face,
        max_faces=options.max_faces,
        backend=options.backend,
        device=options.device,
        precision=options.precision,
        detector_precision=options.detector_precision,
        smoothing=options.smoothing,
        still=still,
    )


def _print_networks(pipeline: FacePipeline) -> None:
    session = pipeline.recogniser.session
    print(f"Model    {session.path.name}, sha256 {session.sha256[:12]}")
    engines = {session.path.stem: session.description, **pipeline.finder.detector.engines}
    for name, engine in engines.items():
        print(f"Engine   {name}: {engine}")


if __name__ == "__main__":
    sys.exit(printing(main))
