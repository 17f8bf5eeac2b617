"""One run of the program: frames through the pipeline, onto the screen and into the files."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from engine.contract import EngineError
from engine.output import write
from realtime.faces import Face
from realtime.neutral import NeutralFaces
from realtime.number_file import ReferenceFileError
from realtime.output.files import SinkError, encoded
from realtime.output.overlay import draw, in_mirror
from realtime.output.records import CsvSink, JsonlSink
from realtime.output.summary import Summary
from realtime.output.video import BackgroundVideo, VideoSink
from realtime.output.window import HELP, Window
from realtime.pipeline import FacePipeline
from realtime.reference import Reference
from realtime.sources.frame import Frame, Source
from realtime.sources.live import NEWS, View

USUAL_FPS = 25.0
"""For sources that do not know their frame rate."""


@dataclass(frozen=True)
class Outputs:
    """Files to write; None for none."""

    video: Path | None = None
    jsonl: Path | None = None
    csv: Path | None = None
    neutral: Path | None = None
    """For the latest reference that is captured."""


class Run:
    """Draws, shows and records what the pipeline finds; a context manager that closes its files.

    mirror: show and record the picture as in a mirror. The records keep the numbers of the frame
    as stored. window: None for none. neutral: the pipeline's references, to be captured, kept and
    told; `kept` says whether one was written. several: `source` is the first of several, see
    :meth:`go_on`, and the records say which one a frame is of. Raises SinkError where an output
    cannot be opened or written.
    What a key asks for and cannot be done is said, in the picture too, and the run goes on.
    """

    def __init__(
        self,
        source: Source,
        pipeline: FacePipeline,
        outputs: Outputs,
        window: Window | None = None,
        mirror: bool = False,
        neutral: NeutralFaces | None = None,
        several: bool = False,
    ):
        self.window, self.mirror, self._several = window, mirror, several
        self.kept = False
        self._keep_in = outputs.neutral
        self._begin(source, pipeline, neutral)
        self._before = self._end = 0.0
        self._captured: Reference | None = None
        self.saved: list[Path] = []
        self._show_pose, self._show_help, self._show_age = True, False, False
        self._shown: deque[float] = deque(maxlen=30)
        # What a window shows until the first frame comes, if one ever does.
        self._picture = np.zeros((source.height, source.width, 3), np.uint8)
        self._kind: str | None = None
        self._news: str | None = None
        self._recording: BackgroundVideo | None = None
        self._refused, self._refused_at = "", -np.inf
        expected = neutral is not None and neutral.expected
        with ExitStack() as stack:
            self._records: list[JsonlSink | CsvSink] = []
            if outputs.jsonl:
                self._records.append(stack.enter_context(JsonlSink(outputs.jsonl)))
            if outputs.csv:
                self._records.append(stack.enter_context(CsvSink(outputs.csv, expected, several)))
            self._video = None
            if outputs.video:
                self._video = stack.enter_context(self._new_video(outputs.video))
            self._stack = stack.pop_all()

    def _begin(self, source: Source, pipeline: FacePipeline, neutral: NeutralFaces | None) -> None:
        self.source, self.pipeline, self._neutral = source, pipeline, neutral
        self.summary = Summary()

    def go_on(
        self, source: Source, pipeline: FacePipeline, neutral: NeutralFaces | None = None
    ) -> None:
        """Take the next source into the same window and files, with a summary of its own; in a
        video it follows the one before."""
        self._begin(source, pipeline, neutral)
        self._before = self._end

    def process(self, views: Iterable[View], total: int | None = None) -> bool:
        """All views of the source, until they end or the user quits; True where the user did.
        total: how many frames to expect, None for those of the source."""
        total = self.source.frames if total is None else total
        with tqdm(total=total, unit=" frames", disable=None, leave=False) as progress:
            begun, started = False, time.monotonic()
            for view in views:
                self._report(view)
                if view.frame is not None:
                    if not begun:
                        begun, started = True, started - view.frame.time
                    progress.update()
                    self._recognise(view.frame)
                if self.window and self._show(self.window, view, started):
                    return True
        return False

    def _recognise(self, frame: Frame) -> None:
        faces = self.pipeline.process(frame)
        self.summary.add(frame, faces)
        self._keep_captured()
        for record in self._records:
            record.write(frame, faces, self.source.name if self._several else None)
        if not (self._video or self._recording or self.window):
            return
        with self.pipeline.timer("draw"):
            self._picture = self._drawn(frame, faces)
        seconds = self._before + frame.time
        self._end = seconds + 1 / (self.source.fps or USUAL_FPS)
        if self._video:
            self._video.write(self._picture, seconds)
        if self._recording:
            self._record(self._recording, seconds)

    def _report(self, view: View) -> None:
        """Say on the console what is wrong with the source, what changed, and that it is well
        again, once."""
        if view.kind != self._kind:
            self._say(view.trouble or "back again")
        if view.news and view.news != self._news:
            self._say(view.news)
        self._kind, self._news = view.kind, view.news

    def _say(self, text: str) -> None:
        name = self.source.name
        tqdm.write(text if text.startswith(name) else f"{name}: {text}", file=sys.stderr)

    def close(self) -> None:
        try:
            self._stop_recording()
        finally:
            self._stack.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _drawn(self, frame: Frame, faces: list[Face]) -> np.ndarray:
        now = time.monotonic()
        self._shown.append(now)
        elapsed = now - self._shown[0]
        fps = (len(self._shown) - 1) / elapsed if elapsed > 0 else None
        image = frame.image
        if self.mirror:
            image, faces = in_mirror(image, faces)
        progress = self._neutral.progress if self._neutral else None
        return draw(
            image,
            faces,
            fps=fps,
            show_pose=self._show_pose,
            note=self._note(),
            progress=progress,
        )

    def _note(self) -> str | None:
        parts = [
            self._news,
            self._refused if time.monotonic() - self._refused_at < NEWS else None,
            HELP if self._show_help else None,
            "recording" if self._recording else None,
            self._whose_neutral(),
            self._age() if self._show_age else None,
        ]
        return "   ".join(filter(None, parts)) or None

    def _whose_neutral(self) -> str | None:
        told = self._neutral.told if self._neutral else None
        offer = self.window and self._neutral and self._neutral.lost is not None
        return f"{told}, n takes a new one" if offer else told

    def _age(self) -> str | None:
        age = self.pipeline.timer.stage("age")
        return f"age {age['median_ms']:.0f} ms" if age else None

    def _show(self, window: Window, view: View, started: float) -> bool:
        """Show the latest picture, a file at its own speed; True where the user quits."""
        picture, early = self._picture, 0.0
        if view.trouble:
            picture = draw((picture // 2).astype(np.uint8), [], note=view.trouble)
        elif view.frame is not None and not self.source.live:
            early = max(0.0, started + view.frame.time - time.monotonic())
        key = window.show(picture, wait=early)
        if view.frame is not None and view.frame.captured is not None:
            self.pipeline.timer.add("age", time.monotonic() - view.frame.captured)
        return self._on_key(key, self._picture)

    def _on_key(self, key: str, picture: np.ndarray) -> bool:
        """Do what a key asks for; True to quit."""
        if key == "s":
            self._try(lambda: self._save(picture))
        elif key == "r":
            self._try(self._toggle_recording)
        elif key == "n" and self._neutral:
            self._try(self._toggle_capture)
        elif key == "p":
            self._show_pose = not self._show_pose
        elif key == "i":
            self._show_age = not self._show_age
        elif key == "h":
            self._show_help = not self._show_help
        return key == "q"

    def _try(self, writes: Callable[[], None]) -> None:
        """Do what the user asked for beside the run, which goes on where that fails."""
        try:
            writes()
        except (EngineError, ReferenceFileError, SinkError) as error:
            self._refused, self._refused_at = str(error), time.monotonic()
            tqdm.write(self._refused, file=sys.stderr)

    def _save(self, picture: np.ndarray) -> None:
        path = _free_name(".png")
        write(path, encoded(picture, path.suffix))
        self._tell(path)

    def _toggle_recording(self) -> None:
        if self._recording:
            self._stop_recording()
        else:
            path = _free_name(".mp4")
            self._recording = self._new_video(path)
            self._tell(path)

    def _toggle_capture(self) -> None:
        if self._neutral and self._neutral.capturing:
            self._neutral.end_capture()
        elif self._neutral:
            self._neutral.begin_capture()

    def _keep_captured(self) -> None:
        """Write a reference that has just been captured, where the user wants to keep it."""
        captured = self._neutral.captured if self._neutral else None
        if captured is None or captured is self._captured:
            return
        self._captured = captured
        if path := self._keep_in:
            self._try(lambda: self._keep(captured, path))

    def _keep(self, captured: Reference, path: Path) -> None:
        captured.save(path)
        self.kept = True
        tqdm.write(f"Writing {path}")

    def _record(self, recording: BackgroundVideo, seconds: float) -> None:
        def writes() -> None:
            try:
                recording.write(self._picture, seconds)
            except SinkError:
                self._stop_recording()
                raise

        self._try(writes)

    def _stop_recording(self) -> None:
        recording, self._recording = self._recording, None
        if recording:
            recording.close()

    def _tell(self, path: Path) -> None:
        self.saved.append(path)
        tqdm.write(f"Writing {path}")

    def _new_video(self, path: Path) -> BackgroundVideo:
        fps = self.source.fps or USUAL_FPS
        return BackgroundVideo(VideoSink(path, self.source.width, self.source.height, fps))


def _free_name(suffix: str) -> Path:
    """A name in the current folder, made of date and time, that no file has yet."""
    stem = time.strftime("faces-%Y%m%d-%H%M%S")
    names = (Path(f"{stem}{extra}{suffix}") for extra in ["", *(f"-{n}" for n in range(1, 1000))])
    return next(name for name in names if not os.path.lexists(name))
