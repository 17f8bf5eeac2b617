"""A stranger's video as a source: a process of its own decodes it, which may break."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from io import BufferedReader
from pathlib import Path
from typing import cast

import numpy as np

from realtime.sources.decoder import PATIENCE
from realtime.sources.frame import Frame, Source, SourceError
from realtime.sources.video import VideoLimits

_ROOT = Path(__file__).resolve().parents[2]
_MODULE = "realtime.sources.decoder"
_LONGEST = 10_000  # bytes of a line


class IsolatedVideo(Source):
    """The video at `path`, called `name` in messages, as VideoSource gives it under `limits`.

    The other process decodes ahead by a frame. Raises SourceError as VideoSource does, and where
    the decoder takes too much memory or time, or crashes.
    """

    def __init__(self, path: Path, name: str, limits: VideoLimits):
        self.name = name
        places = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-B", "-m", _MODULE),
                *(str(path.resolve()), name, json.dumps(asdict(limits))),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))},
        )
        self._output = cast(BufferedReader, self._process.stdout)
        try:
            header = self._message()
        except BaseException:
            self.close()
            raise
        self.width, self.height = header["width"], header["height"]
        self.fps, self.frames = header["fps"], header["frames"]

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while "shape" in (message := self._message()):
            image = np.empty(message["shape"], np.uint8)
            if self._output.readinto(image.data.cast("B")) < image.size:
                raise self._ended()
            yield Frame(image, index, message["time"])
            index += 1

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._output.close()

    def _message(self) -> dict:
        line = self._output.readline(_LONGEST)
        if not line.endswith(b"\n"):
            raise self._ended()
        message = json.loads(line)
        if message.get("memory"):
            raise self._too_costly("memory")
        if message.get("end"):
            raise SourceError(message["end"])
        return message

    def _ended(self) -> SourceError:
        """Why the other process is gone in the middle of a message."""
        if self._process.wait() == -getattr(signal, "SIGALRM", 0):
            return self._too_costly(f"time: more than {PATIENCE} s for one picture")
        return SourceError(f"{self.name} breaks its decoder off. Save it as H.264 in MP4.")

    def _too_costly(self, what: str) -> SourceError:
        return SourceError(
            f"{self.name} cannot be decoded without too much {what}. "
            "Scale it down, or save it as H.264 in MP4, and try again."
        )
