"""Several workers on this machine."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from typing import Any, cast

from engine.contract import EngineError
from realtime.many.job import Job, Outcome

TRIES = 3
"""How many workers a job may cost before it is given up."""

_ROOT = Path(__file__).resolve().parents[2]


class Pool:
    """Processes that do jobs; a context manager that ends them.

    A worker that ends in the midst of a job is replaced and the job done again. setup: the first
    line of :mod:`realtime.many.worker`.
    """

    def __init__(self, workers: int, setup: dict[str, Any]):
        self._setup = setup
        self._waiting: deque[tuple[Job, int]] = deque()
        self._jobs: Iterator[Job] = iter(())
        self._lock = threading.Condition()
        self._told: queue.Queue[Outcome | int | BaseException] = queue.Queue()
        self._unfinished, self._closing = 0, False
        self._starts = 0  # since the last one that went well
        self.processes: set[subprocess.Popen] = set()
        self._threads = [
            threading.Thread(target=self._drive, name=f"worker {index}", daemon=True)
            for index in range(workers)
        ]

    def run(self, jobs: Iterator[Job]) -> Iterator[Outcome | int]:
        """What came of each job, in the order in which they end, and in between how many frames
        were read since the last word. Further jobs may be given with :meth:`add` until the last
        outcome was taken. EngineError where no job can be done."""
        self._jobs = jobs
        for thread in self._threads:
            thread.start()
        while True:
            try:
                told = self._told.get(timeout=0.1)
            except queue.Empty:
                with self._lock:
                    if not self._unfinished and not self._refill():
                        return
                continue
            if isinstance(told, BaseException):
                raise told
            yield told
            if isinstance(told, Outcome):
                with self._lock:
                    self._unfinished -= 1
                    if not self._unfinished and not self._refill():
                        return

    def add(self, jobs: list[Job]) -> None:
        """Jobs to do before all others."""
        with self._lock:
            self._waiting.extendleft((job, 1) for job in reversed(jobs))
            self._unfinished += len(jobs)
            self._lock.notify_all()

    def _refill(self) -> bool:
        """Whether there is a job that nobody has taken; under the lock."""
        if not self._waiting and (job := next(self._jobs, None)):
            self._waiting.append((job, 1))
            self._unfinished += 1
        return bool(self._waiting)

    def _next(self) -> tuple[Job, int] | None:
        """The next job and which try it is, once there is one; None at the end."""
        with self._lock:
            while not self._closing and not self._refill():
                self._lock.wait()
            return None if self._closing else self._waiting.popleft()

    def _drive(self) -> None:
        """The life of one worker and of those that replace it."""
        try:
            taken = None
            while taken := taken or self._next():
                taken = self._until_it_ends(taken)
        except Exception as error:
            # Raised again in the thread that waits for outcomes.
            self._told.put(error)

    def _until_it_ends(self, taken: tuple[Job, int]) -> tuple[Job, int] | None:
        """Has a new process do jobs, `taken` first, until it ends. What is to be done again."""
        process = self._start()
        if process is None:
            return None
        try:
            if not self._hear(process, "ready"):
                return self._after_no_start(taken, process)
            self._starts = 0
            while True:
                job, tries = taken
                _say(process, asdict(job))
                if (message := self._hear(process, "outcome")) is None:
                    return self._after(job, tries, process)
                self._told.put(Outcome.of(message))
                following = self._next()
                if following is None:
                    return None
                taken = following
        finally:
            self._stop(process)

    def _after_no_start(
        self, taken: tuple[Job, int], process: subprocess.Popen
    ) -> tuple[Job, int] | None:
        """What to do about a job that was not begun; EngineError where none can be."""
        end = _end_of(process)
        if self._closing:
            return None
        self._starts += 1
        if process.returncode >= 0 or self._starts > TRIES * len(self._threads):
            raise EngineError(f"The workers could not start ({end}): is there enough memory?")
        return taken

    def _after(self, job: Job, tries: int, process: subprocess.Popen) -> tuple[Job, int] | None:
        """What to do about the job that a worker ended in."""
        end = _end_of(process)
        if self._closing:
            return None
        hung = process.returncode == -getattr(signal, "SIGALRM", 0)
        if tries < TRIES and not hung:
            return job, tries + 1
        problem = (
            f"{job.name} holds a picture that takes minutes to decode. Save it as H.264 in MP4."
            if hung
            else f"{job.name} ended {tries} workers ({end}): is there enough memory?"
        )
        self._told.put(Outcome(job, problem=problem, written=False))
        return self._next()

    def _hear(self, process: subprocess.Popen, wanted: str) -> Any:
        """What the worker says under this name; None where it ends before."""
        for line in cast(TextIOWrapper, process.stdout):
            try:
                message = json.loads(line)
            except ValueError:  # its last words, cut off
                return None
            if "error" in message:
                raise EngineError(message["error"])
            if wanted in message:
                return message[wanted]
            self._told.put(message["frames"])
        return None

    def _start(self) -> subprocess.Popen | None:
        places = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
        with self._lock:
            if self._closing:
                return None
            process = subprocess.Popen(
                [sys.executable, "-m", "realtime.many.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))},
                text=True,
                encoding="utf-8",
            )
            self.processes.add(process)
        _say(process, self._setup)
        return process

    def _stop(self, process: subprocess.Popen) -> None:
        with self._lock:
            self.processes.discard(process)
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(BrokenPipeError):  # it ended before it was told everything
                cast(TextIOWrapper, pipe).close()

    def close(self) -> None:
        with self._lock:
            self._closing = True
            self._lock.notify_all()
            for process in self.processes:
                process.terminate()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception) -> None:
        self.close()


def _say(process: subprocess.Popen, message: dict) -> None:
    pipe = cast(TextIOWrapper, process.stdin)
    with suppress(BrokenPipeError):  # it has ended; that is heard
        pipe.write(json.dumps(message) + "\n")
        pipe.flush()


def _end_of(process: subprocess.Popen) -> str:
    code = process.wait()
    return f"signal {-code}" if code < 0 else f"exit code {code}"
