"""Cameras and a stream that do on command whatever cameras and streams do wrong."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Thread

import cv2
import numpy as np

from realtime.sources.frame import Frame, Source, SourceError

BOUNDARY = "picture"


class FakeCamera(Source):
    """Gives the frames of a script: each a picture and the seconds that pass before it.

    An array stands for that picture, a number n for a noisy one of that brightness, "same" for the
    last picture again, "silence" for none, "unplugged" for an error.
    """

    name, live, fps = "Camera 0", True, 30.0
    width, height = 64, 48

    def __init__(self, script: Iterable, seconds: float = 0.01):
        self.script, self.seconds, self.closed = script, seconds, False
        self.random = np.random.default_rng(0)

    def __iter__(self) -> Iterator[Frame]:
        image, words = None, iter(self.script)
        for index in count():
            time.sleep(self.seconds)  # first, for the script may depend on the time
            if (word := next(words, None)) is None:
                return
            if isinstance(word, np.ndarray):
                image = word
            elif word == "unplugged":
                raise SourceError("Camera 0 stopped. Check its cable.")
            elif word == "silence":
                continue
            elif word != "same":
                image = self.random.integers(0, 5, (48, 64, 3), dtype=np.uint8) + np.uint8(word)
            yield Frame(image.copy(), index, index * self.seconds)

    def close(self) -> None:
        self.closed = True


class Workshop:
    """Hands out cameras one after another; None stands for one that cannot be opened yet."""

    def __init__(self, *cameras: FakeCamera | None):
        self.cameras = list(cameras)

    def __call__(self) -> FakeCamera:
        camera = self.cameras.pop(0) if self.cameras else None
        if camera is None:
            raise SourceError("Camera 0 could not be opened. No camera was found.")
        return camera


class Hands:
    """Holds a camera's cable, lens and settings: what `state` names happens from now on.

    States: fine, unplugged, busy, slow (plugged out, and opening waits), silent, black, frozen,
    small (half the width and height). pictures: uint8 H×W×3, RGB, shown to and fro.
    """

    FPS = 30.0

    def __init__(self, pictures: Sequence[np.ndarray]):
        self.state = "fine"
        self._pictures = _to_and_fro(pictures)
        self._picture = pictures[0]

    def open(self) -> FakeCamera:
        """The camera; SourceError where it is away or another program's."""
        if self.state == "unplugged":
            raise SourceError("Camera 0 could not be opened. No camera was found.")
        if self.state == "busy":
            raise SourceError("Camera 0 could not be opened. Close the program that uses it.")
        while self.state == "slow":
            time.sleep(0.005)
        camera = FakeCamera((self._word() for _ in count()), 1 / self.FPS)
        camera.height, camera.width = self._picture.shape[:2]
        return camera

    def _word(self):
        if self.state in ("unplugged", "busy", "slow"):
            return "unplugged"
        if self.state == "silent":
            return "silence"
        if self.state != "frozen":
            self._picture = next(self._pictures)
        if self.state == "black":
            return self._picture // 32
        return self._picture[::2, ::2] if self.state == "small" else self._picture


class MjpegServer:
    """A network camera: MJPEG over HTTP at 25 frames/s, a context manager.

    States: fine; ended (it ends all connections and takes no new ones), silent (connections stay
    and say nothing), lost (as silent, and the connections of before say nothing ever after).
    """

    FPS = 25.0

    def __init__(self, pictures: Sequence[np.ndarray]):
        self.state, self.lost = "fine", 0
        jpegs = [cv2.imencode(".jpg", picture[..., ::-1])[1].tobytes() for picture in pictures]
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, jpegs))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/live"

    def __enter__(self) -> MjpegServer:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        self.state = "ended"
        self._server.shutdown()
        self._server.server_close()


def _handler(server: MjpegServer, jpegs: list[bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if server.state == "ended":
                self.send_error(503)
                return
            self.send_response(200)
            kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
            self.send_header("Content-Type", kind)
            self.end_headers()
            with suppress(ConnectionError):  # the viewer left
                self._play()

        def _play(self) -> None:
            before, pictures = server.lost, _to_and_fro(jpegs)
            while server.state != "ended":
                time.sleep(1 / server.FPS)
                if server.state != "fine" or server.lost != before:
                    continue
                jpeg = next(pictures)
                head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}"
                self.wfile.write(head.encode() + b"\r\n\r\n" + jpeg + b"\r\n")

        def log_message(self, *arguments) -> None:
            pass

    return Handler


def _to_and_fro(items: Sequence) -> Iterator:
    """The items forth and back without end, so that nothing jumps."""
    while True:
        yield from items
        yield from items[-2:0:-1]
