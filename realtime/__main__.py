"""``python -m realtime``: the command line, nothing else."""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import tyro

from engine.contract import EngineError
from engine.output import check_writable, printing, program, write
from realtime.capture import CaptureError
from realtime.detection.mtcnn import DetectorError
from realtime.habits import unknown_option
from realtime.logs import logged
from realtime.neutral import NeutralFaces
from realtime.number_file import ReferenceFileError
from realtime.options import Options, UsageError, check_outputs
from realtime.output.files import SinkError
from realtime.output.window import Window, display_problem
from realtime.reader import FaceReader
from realtime.reading import Reading
from realtime.run import Run
from realtime.sources.frame import SourceError
from realtime.timing import StageTimer, table

ERRORS = (
    *(CaptureError, DetectorError, EngineError, ReferenceFileError, SinkError, SourceError),
    UsageError,
)
"""What ends a run with one line that tells the fix."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # A polite `kill` ends a run as Ctrl-C does: with whole files.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if arguments[:1] == ["demo"]:
            from realtime.demo import demo_command

            return demo_command(arguments[1:], main)
        if arguments[:1] == ["bench"]:
            from realtime.measure.bench import bench_command

            return bench_command(arguments[1:])
        if arguments[:1] == ["soak"]:
            from realtime.measure.soak import soak_command

            return soak_command(arguments[1:])
        if arguments[:1] == ["still"]:
            from realtime.measure.still import still_command

            return still_command(arguments[1:])
        if arguments[:1] == ["videos"]:
            from realtime.many.command import videos_command

            return videos_command(arguments[1:])
        if arguments[:1] == ["summary"]:
            from realtime.many.summary import summary_command

            return summary_command(arguments[1:])
        if refused := unknown_option(arguments):
            raise UsageError(refused)
        name = program("ipd-fer", "python -m realtime")
        options = tyro.cli(Options, prog=name, args=arguments)
        with logged(options.log_level):
            return _recognise(options)
    except ERRORS as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, (DetectorError, UsageError)) else 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def script() -> int:
    """``ipd-fer``, which pip installs; returns the exit code."""
    return printing(main)


def _recognise(options: Options) -> int:
    sources, part, camera = options.sources, options.part, options.camera_mode
    check_outputs(options, sources)
    plot = _plotter(options.profile_plot) if options.profile_plot else None
    run: Run | None = None
    with ExitStack() as stack:
        windowed = _wants_window(options)
        reader = stack.enter_context(_reader(options))
        if options.profile:
            stack.callback(lambda: print(table(reader.timer.summary())))
        if plot:
            stack.callback(plot, reader.timer)
        for reading in stack.enter_context(closing(reader.readings(sources, part, camera))):
            neutral = reading.pipeline.neutral
            _use_references(options, neutral, reading.source.still, known=bool(run and run.kept))
            if run is None:
                _print_networks(reader)
                name = "Expression and head pose"
                window = stack.enter_context(Window(name)) if windowed else None
                beginning = (reading.source, reading.pipeline, options.outputs, window)
                run = Run(*beginning, options.mirror, neutral, several=len(sources) > 1)
                stack.enter_context(run)
            else:
                run.go_on(reading.source, reading.pipeline, neutral)
            if _look(reading, run):
                break
    if options.save_neutral and not (options.neutral or (run and run.kept)):
        raise CaptureError(
            f"{options.save_neutral} was not written, for no face rested for two seconds: look at "
            "the camera and keep still."
        )
    return 0


def _look(reading: Reading, run: Run) -> bool:
    """One source through the run; True where the user has seen enough."""
    source = reading.source
    size = f"{source.width}×{source.height}"
    print(
        f"Source   {source.name}, {size}" + (f", {source.fps:.4g} frames/s" if source.fps else "")
    )
    try:
        return run.process(reading.views(), reading.frames)
    finally:
        print(f"{run.summary.frames} frames\n{run.summary.table()}")


def _use_references(options: Options, neutral: NeutralFaces, still: bool, known: bool) -> None:
    """What is known from the start of the faces' rest; ReferenceFileError where it is of no use.
    known: one was captured in a source before."""
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
    elif options.save_neutral and not known:
        neutral.begin_capture()


def _plotter(path: Path) -> Callable[[StageTimer], None]:
    """What draws the times of a run into a file; an error now where it could not do so then."""
    check_writable(path)
    try:
        from realtime.measure.plot import plot
    except ModuleNotFoundError:
        raise UsageError('--profile-plot needs matplotlib: pip install ".[measure]"') from None
    return lambda timer: write(path, plot(timer.series()))


def _wants_window(options: Options) -> bool:
    """Whether to open a window; UsageError where the run would then have no effect at all."""
    written = options.output or options.jsonl or options.csv or options.save_neutral
    problem = display_problem() if options.display else "Without a window nothing is shown."
    if problem and not written:
        raise UsageError(f"{problem} Write something: --output VIDEO, --jsonl FILE or --csv FILE.")
    if problem and options.display:
        print(f"{problem} Running without a window.")
    return not problem


def _reader(options: Options) -> FaceReader:
    if not 0 <= options.smoothing < math.inf:
        raise UsageError(f"--smoothing {options.smoothing}: give 0 or more.")
    return FaceReader(
        options.model,
        backend=options.backend,
        device=options.device,
        precision=options.precision,
        detector_precision=options.detector_precision,
        min_face=options.min_face,
        max_faces=options.max_faces,
        smoothing=options.smoothing,
    )


def _print_networks(reader: FaceReader) -> None:
    print(f"Model    {reader.session.path.name}, sha256 {reader.session.sha256[:12]}")
    for name, engine in reader.engines.items():
        print(f"Engine   {name}: {engine}")


if __name__ == "__main__":
    sys.exit(script())
