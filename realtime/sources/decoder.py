"""``python -m realtime.sources.decoder``: decodes a stranger's video in a process of its own.

A file of a kilobyte can make FFmpeg fill gigabytes, loop for hours or crash. Here it may: the
process has a bound on memory, writes no file, and ends where one picture takes too long. It writes
messages to its standard output, see :func:`send`, of which :mod:`realtime.sources.isolated` makes
frames again.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from realtime.sources.frame import SourceError
from realtime.sources.video import VideoLimits, VideoSource

try:
    import resource
except ImportError:  # Windows, where a process has no such bounds
    resource = None  # type: ignore[assignment]

PATIENCE = 10
"""Seconds that one picture may take."""

_OPENING = 155 << 20
_FULL_SIZE = 75 << 20
"""Bytes that opening and decoding may take: less where the page itself needs more for the large
pictures that come."""

_NEARLY = 16 << 20  # a picture of 4K


def main(path: str, name: str, limits: str) -> int:
    """Sends what :func:`send` says of the video at `path`, whose name in messages is `name`."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no message
    own = _data()
    most = own + _OPENING
    _bound(most)
    try:
        _watch()
        bounds = VideoLimits(**json.loads(limits))
        source = VideoSource(f"file:{path}", name, bounds)
        if source.width * source.height > bounds.small:
            most = own + _FULL_SIZE
            _bound(most)
        header = {"width": source.width, "height": source.height}
        send(output, header | {"fps": source.fps, "frames": source.frames})
        for frame in source:
            _watch(0)  # the reader takes the time it likes
            send(output, {"time": frame.time, "shape": frame.image.shape}, frame.image)
            _watch()
        send(output, {"end": None})
    except SourceError as error:
        # A decoder that is refused memory may call that a damaged picture.
        full = own and _data() > most - _NEARLY
        send(output, {"memory": True} if full else {"end": str(error)})
    except MemoryError:
        send(output, {"memory": True})
    except BrokenPipeError:
        pass  # nobody waits for the rest
    return 0


def send(output, message: dict, image=None) -> None:
    """A line of JSON, and after it the bytes of a picture, uint8 H×W×3.

    The first line holds `width`, `height`, `fps` and `frames` of a Source. Each of the others holds
    `time` and `shape` of a frame; the last, `end`: why the video broke off, null where it is whole;
    or `memory`, where that did not suffice.
    """
    output.write(json.dumps(message).encode() + b"\n")
    if image is not None:
        output.write(image.data)
    output.flush()


def _watch(seconds: int = PATIENCE) -> None:
    """Ends the process after so many seconds, for the signal has no handler; 0 is never."""
    if resource:
        signal.alarm(seconds)


def _data() -> int:
    """Bytes of memory of this process that it can write to, 0 where the system does not say."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmData"))
    return int(line.split()[1]) << 10


def _bound(data: int) -> None:
    if resource is None:
        return
    if _data():
        resource.setrlimit(resource.RLIMIT_DATA, (data, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
