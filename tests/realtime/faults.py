"""Every fault of a camera, ten times over: how soon is it said, how soon are faces back?

    python -m tests.realtime.faults --times 10

Plays cameras and a stream that fail on command through the program's own loop, with its networks
and a recording, and prints a table in Markdown.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import tyro
from tqdm import tqdm

from realtime.detection.mtcnn import Detector
from realtime.faces import Face
from realtime.pipeline import FacePipeline
from realtime.recognise import Recogniser
from realtime.run import Outputs, Run
from realtime.sources.frame import Frame, Source
from realtime.sources.live import LiveFeed, View
from realtime.sources.open import open_source
from tests.realtime.support.cameras import Hands, MjpegServer
from tests.realtime.support.paths import CLIP

PATIENCE = 40.0
"""Seconds after which something that should have happened is an error."""

CAMERA = {
    "unplugged": "camera unplugged",
    "busy": "camera taken by another program",
    "slow": "camera unplugged, then slow to open",
    "silent": "camera gives no frames",
    "black": "picture black",
    "frozen": "picture frozen",
    "small": "picture changes its size",
}
STREAM = {
    "ended": "stream ends and is refused",
    "silent": "stream stops and goes on",
    "lost": "stream stops, only a new connection goes on",
}
"""Fault → what the table calls it."""

HEADER = """\
| fault | said after (median) | at most | faces back after (median) | at most | recording goes on |
|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Options:
    """Measure how soon each fault is said, and how soon faces are back after it."""

    times: int = 10
    """How often each fault."""
    seconds: tuple[float, float] = (3.0, 7.0)
    """Shortest and longest time that a fault lasts."""
    only: tuple[str, ...] = ()
    """Only these faults, by their short names."""
    seed: int = 0
    """Decides how long each of them lasts."""


@dataclass(frozen=True)
class Shown:
    """What was on the screen: when, and with how many faces."""

    at: float
    view: View
    faces: int

    @property
    def said(self) -> bool:
        return bool(self.view.trouble or self.view.news)

    @property
    def well(self) -> bool:
        return self.faces > 0 and self.view.trouble is None


@dataclass
class Measured:
    """Seconds until each fault was said and until faces were back; times of the first pictures
    after it by the clock of the frames, and how many of those were recorded."""

    said: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    recorded: int = 0

    def row(self, what: str) -> str:
        cells = [f"{np.median(s):.2f} s | {max(s):.2f} s" for s in (self.said, self.back)]
        return f"| {what} | {cells[0]} | {cells[1]} | {self.recorded} of {len(self.first)} |"


class Viewer:
    """Stands in for the pipeline, the window and the user before it, and takes notes."""

    def __init__(self, pipeline: FacePipeline):
        self.timer, self._pipeline = pipeline.timer, pipeline
        self._view, self._faces, self._leaves = View(None, None), 0, False
        self._seen: list[Shown] = []
        self._changed = threading.Condition()
        self.begin: float | None = None

    def watched(self, views: Iterator[View]) -> Iterator[View]:
        for self._view in views:
            yield self._view

    def process(self, frame: Frame) -> list[Face]:
        if self.begin is None:
            self.begin = frame.time
        faces = self._pipeline.process(frame)
        self._faces = len(faces)
        return faces

    def show(self, image: np.ndarray, wait: float = 0.0) -> str:
        faces = self._faces if self._view.frame else 0
        with self._changed:
            self._seen.append(Shown(time.monotonic(), self._view, faces))
            self._changed.notify_all()
        return "q" if self._leaves else ""

    def wait_for(self, test: Callable[[Shown], bool], since: float) -> Shown:
        """The first that was shown after `since` of which `test` holds."""

        def first() -> Shown | None:
            return next((s for s in self._seen if s.at > since and test(s)), None)

        with self._changed:
            if found := self._changed.wait_for(first, PATIENCE):
                self._seen.clear()
                return found
        raise TimeoutError(f"The screen did not change as it should within {PATIENCE:.0f} s.")

    def leave(self) -> None:
        self._leaves = True


def measure(source: Source, reopen, inflict: Callable[[bool], None], options: Options) -> Measured:
    """One fault again and again. inflict: begins the fault (True) and ends it (False)."""
    measured, random = Measured(), np.random.default_rng(options.seed)
    detector, recogniser = Detector(), Recogniser("ipd_fer")
    with TemporaryDirectory() as folder, FacePipeline(detector, recogniser) as pipeline:
        viewer, video = Viewer(pipeline), Path(folder) / "out.mp4"
        with Run(source, viewer, Outputs(video), viewer) as run, LiveFeed(source, reopen) as feed:
            thread = threading.Thread(target=run.process, args=(viewer.watched(iter(feed)),))
            thread.start()
            try:
                viewer.wait_for(lambda shown: shown.well, since=0.0)
                for _ in tqdm(range(options.times), leave=False, disable=None):
                    time.sleep(3 + random.random())
                    _fault(viewer, inflict, measured, random.uniform(*options.seconds))
            finally:
                viewer.leave()
                thread.join()
        recorded = _times(video) + viewer.begin
    measured.recorded = sum(bool(np.abs(recorded - first).min() < 0.01) for first in measured.first)
    return measured


def _fault(viewer: Viewer, inflict, measured: Measured, seconds: float) -> None:
    began = time.monotonic()
    inflict(True)
    measured.said.append(viewer.wait_for(lambda shown: shown.said, since=began).at - began)
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    ended = time.monotonic()
    inflict(False)
    back = viewer.wait_for(lambda shown: shown.well, since=ended)
    measured.back.append(back.at - ended)
    measured.first.append(back.view.frame.time)


def _times(video: Path) -> np.ndarray:
    """When each picture of a video is shown, in seconds."""
    with av.open(str(video)) as container:
        return np.array([frame.time for frame in container.decode(video=0)])


def camera_fault(state: str, pictures: list[np.ndarray], options: Options) -> Measured:
    hands = Hands(pictures)

    def inflict(begins: bool) -> None:
        hands.state = state if begins else "fine"

    return measure(hands.open(), hands.open, inflict, options)


def stream_fault(state: str, pictures: list[np.ndarray], options: Options) -> Measured:
    with MjpegServer(pictures) as server:

        def inflict(begins: bool) -> None:
            server.state = state if begins else "fine"
            server.lost += begins and state == "lost"

        def reopen() -> Source:
            return open_source(server.url)

        return measure(reopen(), reopen, inflict, options)


def main() -> int:
    options = tyro.cli(Options, prog="python -m tests.realtime.faults")
    with open_source(CLIP) as source:
        pictures = [frame.image for frame in islice(source, 100)]
    print(HEADER, flush=True)
    for faults, of in ((CAMERA, camera_fault), (STREAM, stream_fault)):
        for state, what in faults.items():
            if not options.only or state in options.only:
                print(of(state, pictures, options).row(what), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
