"""Camera, video file, stream, folder of pictures or a single picture → one iterator of frames."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from realtime.pictures import (
    PICTURES,
    PictureError,
    is_picture,
    pictures_in,
    quiet_opencv,
    read_picture,
)

MIN_SIDE = 16
"""Frames with a side of fewer pixels hold no face and are refused."""


class SourceError(Exception):
    """A source cannot be opened, or it broke off. The message is one line that tells the fix."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a source.

    image: uint8 H×W×3, RGB, contiguous, upright (EXIF and video rotation are applied).
    index: counts from 0 in each source.
    time: seconds since the first frame by the video's own clock, so a variable frame rate stays
        right; a picture of a folder lasts one second; a camera counts since it was opened.
    captured: when a live source gave it, by time.monotonic(); None for files.
    """

    image: np.ndarray
    index: int
    time: float
    captured: float | None = None


class Source(ABC):
    """An iterable of :class:`Frame`, to be read once, and a context manager.

    name: what was opened, for messages. width, height: of the first frame in pixels, upright;
    pictures of a folder may differ in size. fps: average frame rate, None where unknown.
    frames: how many to expect, None where unknown. live: a camera or stream without known end.
    still: pictures that have nothing to do with each other.

    Iterating raises :class:`SourceError` where the source breaks off, after every frame that
    could be read was given.
    """

    name: str
    width: int
    height: int
    fps: float | None = None
    frames: int | None = None
    live: bool = False
    still: bool = False

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """Releases the file or the camera; must not be called while another thread reads."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _measure(self, image: np.ndarray) -> None:
        self.height, self.width = image.shape[:2]
        if problem := too_small(image):
            raise SourceError(f"{self.name} {problem}")


def open_source(spec: str | int | Path) -> Source:
    """Opens a camera (number), stream (URL), video, picture or folder of pictures (path).

    The first frame is read here, so the size is known and most bad input ends here.
    Raises :class:`SourceError`.
    """
    text = str(spec)
    if camera := re.fullmatch(r"(?:/dev/video)?(-?[0-9]+)", text):
        return CameraSource(int(camera[1]))
    if "://" in text:
        return _video(text, re.sub("://[^/@]*@", "://", text))  # no password in a message
    path = Path(spec).expanduser()
    if path.is_dir():
        if not (pictures := pictures_in(path)):
            raise SourceError(f"{text} holds no pictures ({', '.join(PICTURES)}).")
        return PictureSource(text, pictures)
    if not path.exists():
        raise SourceError(f"{text} does not exist. Check the path; cameras are given by number.")
    if path.suffix.lower() != ".gif" and path.is_file() and is_picture(path):
        return PictureSource(text, [path])
    # The prefix keeps a colon in a file name from being read as a protocol.
    return _video(f"file:{path}", text)


def _video(url: str, name: str) -> Source:
    from realtime.video import VideoSource  # FFmpeg takes a while to load; a camera goes without

    return VideoSource(url, name)


class CameraSource(Source):
    """A camera, through OpenCV. Its frames are as stored by the camera, not mirrored."""

    live = True

    def __init__(self, index: int):
        self.name = f"Camera {index}"
        with quiet_opencv():
            # OpenCV takes a negative number for "any camera".
            self._capture = cv2.VideoCapture(index) if index >= 0 else cv2.VideoCapture()
            self._opened = time.monotonic()
        try:
            self._start(index)
        except BaseException:
            self.close()
            raise

    def _start(self, index: int) -> None:
        if not self._capture.isOpened():
            raise SourceError(_camera_advice(index, found_cameras()))
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = rate if 1 <= rate <= 1000 else None
        good, image = self._capture.read()
        if not good:
            raise SourceError(f"{self.name} opened but gives no picture. Plug it in again.")
        self._measure(image)

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


class PictureSource(Source):
    """Pictures one after another, a second each. What cannot be read is reported at the end."""

    fps = 1.0
    still = True

    def __init__(self, name: str, paths: list[Path]):
        self.name = name
        self.frames = len(paths)
        self._paths = paths
        self._faults: list[str] = []
        self._read = self._pictures()
        self._first = next(self._read, None)
        if self._first is None:
            raise SourceError(self._report())
        self._measure(self._first)

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while self._first is not None:
            image, self._first = self._first, None
            yield Frame(image, index, float(index))
            self._first = next(self._read, None)
            index += 1
        if self._faults:
            raise SourceError(self._report())

    def _pictures(self) -> Iterator[np.ndarray]:
        for path in self._paths:
            try:
                image = read_picture(path).image
                problem = too_small(image)
            except PictureError as error:
                problem = str(error)
            if problem:
                self._faults.append(f"{path} {problem}")
            else:
                yield image

    def _report(self) -> str:
        if len(self._paths) == 1:
            return self._faults[0]
        more = len(self._faults) - 1
        others = f" ({more} more like it.)" if more else ""
        return f"{self._faults[0]} Left out of {self.name}; replace or remove it.{others}"


def found_cameras() -> list[int]:
    """The numbers of the cameras on this machine."""
    if Path("/sys/class/video4linux").is_dir():
        # A camera has several nodes; only the one with index 0 delivers pictures.
        nodes = Path("/sys/class/video4linux").glob("video*/index")
        return sorted(int(n.parent.name[5:]) for n in nodes if n.read_text().strip() == "0")
    if Path("/dev").is_dir() and Path("/proc").is_dir():
        return sorted(int(p.name[5:]) for p in Path("/dev").glob("video[0-9]*"))
    with quiet_opencv():
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


def too_small(image: np.ndarray) -> str | None:
    """What is wrong with the size of an image, to stand after its name; None if nothing is."""
    height, width = image.shape[:2]
    if min(width, height) >= MIN_SIDE:
        return None
    return f"is {width}×{height} pixels; at least {MIN_SIDE}×{MIN_SIDE} are needed."
