"""Live streams of several visitors: a bounded number of places, each with a pipeline of its own."""

from __future__ import annotations

import base64
import secrets
import threading
import time

import cv2
import numpy as np

from realtime.faces import Face
from realtime.overlay import draw, in_mirror
from realtime.sinks import face_record
from realtime.source import Frame, too_small
from realtime.web.checks import FRAME_PIXELS, Refused, check_picture
from realtime.web.networks import Networks

LEASE = 5.0
"""Seconds without a frame after which a stream is over and its place free."""

QUALITY = 80
"""JPEG quality of what is sent back."""


class Streams:
    """Opens, feeds and frees streams; any thread may call. A context manager.

    limit: how many may be open at the same time.
    """

    def __init__(self, networks: Networks, limit: int):
        self.limit = limit
        self._networks = networks
        self._open: dict[str, _Stream] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def open(self) -> str | None:
        """The key of a new stream, None where all places are taken."""
        self.sweep()
        with self._lock:
            if len(self._open) >= self.limit:
                return None
            key = secrets.token_urlsafe(16)
            self._open[key] = _Stream(self._networks.pipeline())
            return key

    def frame(self, key: str, number: int, mirror: bool, picture: str) -> dict | None:
        """What is seen in the next frame; None where the stream is over.

        number: counts up in the stream; a frame that was overtaken by a later one is dropped.
        mirror: mirror the picture that comes back, not the numbers. picture: a JPEG as data URL.
        The answer holds `image` (a JPEG as data URL; None for a dropped frame), `time` (seconds
        since the stream was opened) and `faces`, as :func:`realtime.sinks.face_record` gives them,
        largest first. Raises Refused for a picture that cannot be used.
        """
        stream = self._open.get(key)
        return stream and stream.answer(number, mirror, picture)

    def close(self, key: str) -> None:
        """Ends a stream and frees what belongs to it. An unknown key is fine."""
        with self._lock:
            stream = self._open.pop(key, None)
        if stream:
            stream.close()

    def sweep(self) -> None:
        """Ends the streams whose visitors are gone."""
        limit = time.monotonic() - LEASE
        for key in [key for key, stream in list(self._open.items()) if stream.seen < limit]:
            self.close(key)

    def __enter__(self) -> Streams:
        return self

    def __exit__(self, *exception) -> None:
        for key in list(self._open):
            self.close(key)


class _Stream:
    def __init__(self, pipeline):
        self._pipeline = pipeline
        self._lock = threading.Lock()
        self._started = self.seen = time.monotonic()
        self._newest = -1
        self._closed = False

    def answer(self, number: int, mirror: bool, picture: str) -> dict | None:
        image = _decoded(picture)
        with self._lock:
            if self._closed:
                return None
            self.seen = time.monotonic()
            now = self.seen - self._started
            if number <= self._newest:
                return {"time": now, "image": None, "faces": []}
            self._newest = number
            faces = self._pipeline.process(Frame(image, number, now, captured=self.seen))
            self.seen = time.monotonic()
        return {
            "time": round(now, 4),
            "image": _encoded(_drawn(image, faces, mirror)),
            "faces": [face_record(face) for face in faces],
        }

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._pipeline.close()


def _drawn(image: np.ndarray, faces: list[Face], mirror: bool) -> np.ndarray:
    if mirror:
        image, faces = in_mirror(image, faces)
    return draw(image, faces)


def _decoded(picture: str) -> np.ndarray:
    """The RGB picture in a data URL; Refused where it holds none that can be used."""
    try:
        data = base64.b64decode(picture.partition(",")[2], validate=True)
    except ValueError:
        data = b""
    check_picture(data, "The camera's frame", FRAME_PIXELS)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    problem = "is damaged." if image is None else too_small(image)
    if problem:
        raise Refused(f"The camera's frame {problem}")
    return image


def _encoded(image: np.ndarray) -> str:
    """An RGB picture as a JPEG in a data URL."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()
