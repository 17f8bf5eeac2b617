"""``python -m realtime.many.worker``: a process that reads videos, driven by lines of JSON.

Its input is a line with what :class:`realtime.many.reader.VideoReader` needs, then one line a job.
Its output is a line ``{"ready": …}``, then one a job, and ``{"frames": n}`` meanwhile; or
``{"error": …}``, after which it ends. It ends where its input does: when nobody waits for it any
more. It is a process of its own, not one that multiprocessing makes, for that would run the file
that called :func:`realtime.many.run.read_videos` once more.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from dataclasses import asdict

from engine.contract import EngineError
from realtime.detection.mtcnn import DetectorError
from realtime.many.job import CheckedReading, Job, made_by
from realtime.many.reader import VideoReader
from realtime.number_file import ReferenceFileError

PATIENCE = 120
"""Seconds that one picture may take: FFmpeg can loop for hours over a few odd bytes."""

TOLD = 0.5
"""Seconds between two words on how far a video is."""


def main() -> int:
    # Ctrl-C reaches every process of a terminal; the one that drives this one says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no message
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    try:
        setup = json.loads(lines.get())
        _work(setup, lines, lambda message: print(json.dumps(message), file=output))
    except (DetectorError, EngineError, ReferenceFileError) as error:
        print(json.dumps({"error": str(error)}), file=output)
    except BrokenPipeError:
        pass  # nobody waits for the rest
    return 0


def _work(setup: dict, lines: queue.Queue[str], tell) -> None:
    reading = CheckedReading.of(setup["reading"])
    progress = _Progress(tell)
    made = made_by(reading)
    if made != setup["made_by"]:
        raise EngineError("A worker has other models than the program: was it changed meanwhile?")
    with VideoReader(reading, setup["output"], made, progress.see) as reader:
        tell({"ready": True})
        while True:
            job = Job.of(json.loads(lines.get()))
            progress.begin()
            outcome = reader.do(job)
            progress.end()
            tell({"outcome": asdict(outcome)})


class _Progress:
    """Tells now and then how many frames were read, and ends a process that hangs in one."""

    def __init__(self, tell):
        self._tell = tell
        self._frames, self._told = 0, 0.0

    def begin(self) -> None:
        self._frames, self._told = 0, time.monotonic()
        alarm(PATIENCE)

    def see(self) -> None:
        alarm(PATIENCE)
        self._frames += 1
        if time.monotonic() - self._told > TOLD:
            self._tell_frames()

    def end(self) -> None:
        alarm(0)
        self._tell_frames()

    def _tell_frames(self) -> None:
        self._tell({"frames": self._frames})
        self._frames, self._told = 0, time.monotonic()


def alarm(seconds: int) -> None:
    """Ends this process after so many seconds, for the signal has no handler; 0 is never."""
    if hasattr(signal, "alarm"):  # Windows has none
        signal.alarm(seconds)


def _listen(lines: queue.Queue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _stop(*_) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
