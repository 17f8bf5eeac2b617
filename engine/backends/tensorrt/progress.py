"""How far a build is, told to whoever waits for it."""

from __future__ import annotations

import threading
import time
from typing import Any

from tqdm import tqdm

from engine.backends.tensorrt import plans

LINE_EVERY = 20.0
"""Seconds between two lines about a build where there is no terminal for a bar."""


class Progress:
    """A bar over the phases of a build, without a terminal a line now and then, and the way to stop
    one."""

    def __init__(self, title: str, stop: threading.Event | None):
        self._title = title
        self._stop = stop or threading.Event()
        self._lock = threading.Lock()  # TensorRT reports from several threads.
        self._bar: tqdm | None = None
        self._top = ""
        self._steps = 0
        self._told = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_) -> None:
        if self._bar is not None:
            self._bar.close()

    def monitor(self, trt):
        """The object to hand to TensorRT; None where its version takes none."""
        if not hasattr(trt, "IProgressMonitor"):
            return None
        progress = self
        base: Any = trt.IProgressMonitor

        class Monitor(base):
            def __init__(self):
                base.__init__(self)

            def phase_start(self, phase, parent, steps):
                progress.start(phase, parent, steps)

            def step_complete(self, phase, step):
                return progress.step(phase, step)

            def phase_finish(self, phase):
                pass

        return Monitor()

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        with self._lock:
            if self._bar is None:
                self._top, self._steps = phase, steps
                self._bar = tqdm(total=steps, desc=self._title, leave=False, disable=None)
            elif parent == self._top:
                self._bar.set_postfix_str(phase)

    def step(self, phase: str, step: int) -> bool:
        """Whether to go on, after step number `step` of `phase`."""
        with self._lock:
            if self._bar is not None and phase == self._top:
                self._bar.update(step + 1 - self._bar.n)
            self._tell(step + 1 if phase == self._top else None)
        return not self._stop.is_set()

    def _tell(self, step: int | None) -> None:
        """Prints a line where there is no bar and the last one is a while ago."""
        now = time.monotonic()
        if self._bar is None or not self._bar.disable or now - self._told < LINE_EVERY:
            return
        self._told = now
        plans.say(f"{self._title}: {'goes on' if step is None else f'{step} of {self._steps}'}.")
