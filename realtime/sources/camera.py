"""A camera as a source, through OpenCV."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2

from realtime.sources.frame import Frame, Source, SourceError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CameraMode:
    """What a camera is asked for; None leaves it as it is.

    size: width and height in pixels. fps: frames a second. A camera has a few modes and takes one
    near to what is asked. ValueError for what no camera has.
    """

    size: tuple[int, int] | None = None
    fps: float | None = None

    def __post_init__(self):
        if self.size is not None and not (
            len(self.size) == 2 and all(0 < side <= LARGEST_SIDE for side in self.size)
        ):
            raise ValueError(
                f"A camera has no pictures of {self.size}: give a size as (1280, 720)."
            )
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise ValueError(f"A camera gives no {self.fps} frames a second: give a rate as 30.")

    def __str__(self) -> str:
        size = f"{self.size[0]}×{self.size[1]}" if self.size else ""
        return " at ".join(filter(None, (size, f"{self.fps:.4g} frames/s" if self.fps else "")))


LARGEST_SIDE = 1 << 14
AS_IT_IS = CameraMode()


class CameraSource(Source):
    """A camera, through OpenCV. Its frames are as stored by the camera, not mirrored.

    mode: what it is asked for; where it gives something else, a warning is logged.
    """

    live = True

    def __init__(self, index: int, mode: CameraMode = AS_IT_IS):
        self.name = f"Camera {index}"
        self._mode = mode
        with _quiet_opencv():
            # OpenCV takes a negative number for "any camera", and no number of more than 31 bits.
            possible = 0 <= index < 1 << 31
            self._capture = cv2.VideoCapture(index) if possible else cv2.VideoCapture()
            self._opened = time.monotonic()
        try:
            self._start(index)
        except BaseException:
            self.close()
            raise

    def _start(self, index: int) -> None:
        if not self._capture.isOpened():
            raise SourceError(_camera_advice(index, found_cameras()))
        self._ask()
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = rate if 1 <= rate <= 1000 else None
        good, image = self._capture.read()
        if not good:
            raise SourceError(f"{self.name} opened but gives no picture. Plug it in again.")
        self._measure(image)
        self._compare()

    def _ask(self) -> None:
        """Set the mode that is wished for, before the first frame."""
        if self._mode == AS_IT_IS:
            return
        # Over USB large pictures come fast only as JPEGs; a camera without them ignores this.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        if self._mode.size:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._mode.size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._mode.size[1])
        if self._mode.fps:
            self._capture.set(cv2.CAP_PROP_FPS, self._mode.fps)

    def _compare(self) -> None:
        """Say where the camera gives something else than was asked for."""
        wished, gives = self._mode, CameraMode((self.width, self.height), self.fps)
        other_size = wished.size is not None and wished.size != gives.size
        other_rate = wished.fps and gives.fps and abs(wished.fps - gives.fps) > 0.5
        if other_size or other_rate:
            logger.warning("%s gives %s, not %s.", self.name, gives, wished)

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while True:
            good, image = self._capture.read()
            now = time.monotonic() - self._opened
            if not good:
                raise SourceError(
                    f"{self.name} stopped after {index} frames ({now:.1f} s). Check its cable "
                    "and whether another program took it."
                )
            yield Frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image), index, now)
            index += 1

    def close(self) -> None:
        self._capture.release()


def found_cameras() -> list[int]:
    """The numbers of the cameras on this machine."""
    if Path("/sys/class/video4linux").is_dir():
        # A camera has several nodes; only the one with index 0 delivers pictures.
        nodes = Path("/sys/class/video4linux").glob("video*/index")
        return sorted(int(n.parent.name[5:]) for n in nodes if n.read_text().strip() == "0")
    if Path("/dev").is_dir() and Path("/proc").is_dir():
        return sorted(int(p.name[5:]) for p in Path("/dev").glob("video[0-9]*"))
    with _quiet_opencv():
        return [index for index in range(4) if _opens(index)]


def _opens(index: int) -> bool:
    capture = cv2.VideoCapture(index)
    try:
        return capture.isOpened()
    finally:
        capture.release()


def _camera_advice(index: int, found: list[int]) -> str:
    if index in found:
        reason = "It is there: close the program that uses it, or get permission to read it."
    elif found:
        reason = f"Found cameras: {', '.join(map(str, found))}."
    else:
        reason = "No camera was found."
    return f"Camera {index} could not be opened. {reason}"


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """OpenCV logs what it cannot open; here that is reported in one line of our own."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
