"""Live streams of several visitors: a bounded number of places, each with a pipeline of its own."""

from __future__ import annotations

import asyncio
import base64
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import cv2
import numpy as np

from engine import processors
from realtime.capture import Progress
from realtime.faces import Face
from realtime.neutral import NeutralFaces
from realtime.output.overlay import draw, in_mirror
from realtime.output.records import face_record
from realtime.sources.frame import Frame, too_small
from realtime.web.callers import Caller, who_gives_up
from realtime.web.checks import FRAME_PIXELS, Refused, check_picture
from realtime.web.networks import Networks
from realtime.web.shares import Pace, Shares

LEASE = 5.0
"""Seconds without a frame after which a stream is over and its place free."""

IN_FLIGHT = 2
"""Frames of a stream that may be on their way: one is received while another is worked on."""

RATE = 30
"""Frames of a stream that are worked on in a second, as many as a camera gives. A client that
sends faster waits, for it would take the processor from everybody else."""

PART = 0.33
"""Of the processors, what streams may take before they are slowed for each other; requests,
pictures and videos need the rest."""

FRAME_BYTES = 4 << 20
"""Largest file of a frame; a JPEG of FRAME_PIXELS has at most 3 MB where it is all noise."""

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
        self._threads = ThreadPoolExecutor(IN_FLIGHT * limit, "frames")
        self._shares = Shares(PART * processors.usable())

    def __len__(self) -> int:
        return len(self._open)

    def open(self, caller: Caller = Caller()) -> str | None:  # noqa: B008
        """The key of a new stream for the caller, None where all places are taken.

        While places are free anybody gets one. Where none is, the latest stream of whoever holds
        too many ends for it: see :func:`realtime.web.callers.who_gives_up`.
        """
        self.sweep()
        # Made before the lock is taken, so that the others' streams go on meanwhile.
        stream = _Stream(self._networks.pipeline(), caller)
        with self._lock:
            ended = self._make_room(caller)
            key = secrets.token_urlsafe(16) if len(self._open) < self.limit else None
            if key:
                self._open[key] = stream
        for unused in (ended, None if key else stream):
            if unused:
                unused.close()
        return key

    async def open_in_thread(self, caller: Caller) -> str | None:
        """:meth:`open` for an event loop, when it is this address's turn."""
        async with self._shares.turn(caller.address):
            return await asyncio.to_thread(self._counted, caller.address, self.open, caller)

    def _make_room(self, caller: Caller) -> _Stream | None:
        if len(self._open) < self.limit:
            return None
        giver = who_gives_up((stream.caller for stream in self._open.values()), caller)
        theirs = [key for key, stream in self._open.items() if stream.caller == giver]
        return self._open.pop(theirs[-1]) if theirs else None

    def frame(self, key: str, number: int, mirror: bool, picture: str) -> dict | None:
        """What is seen in the next frame; None where the stream is over.

        number: counts up in the stream; a frame that was overtaken by a later one is dropped, and
        one that comes while IN_FLIGHT others are on their way.
        mirror: mirror the picture that comes back, not the numbers. picture: a JPEG as data URL.
        The answer holds `image` (a JPEG as data URL; None for a dropped frame), `time` (seconds
        since the stream was opened), `faces`, as realtime.output.records.face_record gives them,
        largest first, and `neutral`, whose neutral face is known: `owners` (ids), `lost` (the id
        that one went with, for a while) and of a capture at work or just done `share` (0 to 1; None
        without one), `message` and `done`. Raises Refused for a picture that cannot be used.
        """
        stream = self._open.get(key)
        if stream is None:
            return None
        with stream.turn() as mine:
            return stream.answer(number, mirror, picture) if mine else stream.dropped()

    async def frame_in_thread(
        self, key: str, number: int, mirror: bool, picture: str, address: str = ""
    ) -> dict | None:
        """:meth:`frame` for an event loop. A frame that is refused takes no thread.

        address: whose that is, where there is no such stream."""
        stream = self._open.get(key)
        if stream is None:
            await self._shares.refuse(address, len(picture))
            return None
        address = stream.caller.address
        with stream.turn() as mine:
            if mine:
                await stream.frames.next()
                work = partial(self._counted, address, stream.answer, number, mirror, picture)
                async with self._shares.turn(address):
                    loop = asyncio.get_running_loop()
                    answer = await loop.run_in_executor(self._threads, work)
                self._shares.used(address, stream.search_time())
                return answer
        await self._shares.refuse(address, len(picture))
        return stream.dropped()

    def _counted(self, address: str, work: Callable, *arguments):
        """Does the work, and notes what it took of the processor."""
        before = time.thread_time()
        try:
            return work(*arguments)
        finally:
            self._shares.used(address, time.thread_time() - before)

    def capture(self, key: str, begin: bool) -> None:
        """Captures the neutral face of the nearest face that has none, or gives that up. It is the
        stream's and goes with it. ReferenceFileError where the model has no population."""
        stream = self._open.get(key)
        if stream:
            stream.capture(begin)

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
        self._threads.shutdown()


class _Stream:
    def __init__(self, pipeline, caller: Caller):
        self.caller = caller
        self.frames = Pace(RATE)
        self._pipeline, self._neutral = pipeline, pipeline.neutral
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(IN_FLIGHT)
        self._started = self.seen = time.monotonic()
        self._newest = -1
        self._searched = 0.0
        self._closed = False

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether a frame may come in; never waits."""
        mine = self._turns.acquire(blocking=False)
        try:
            yield mine
        finally:
            if mine:
                self._turns.release()

    def search_time(self) -> float:
        """Processor time that the search beside the frames took since this was last asked."""
        before, self._searched = self._searched, self._pipeline.timer.processor_time("search")
        return self._searched - before

    def dropped(self) -> dict:
        """The answer to a frame that is not looked at."""
        return {"time": round(time.monotonic() - self._started, 4), "image": None, "faces": []}

    def answer(self, number: int, mirror: bool, picture: str) -> dict | None:
        image = _decoded(picture)
        with self._lock:
            if self._closed:
                return None
            self.seen = time.monotonic()
            now = self.seen - self._started
            if number <= self._newest:
                return self.dropped()
            self._newest = number
            faces = self._pipeline.process(Frame(image, number, now, captured=self.seen))
            progress, neutral = self._neutral.progress, _known(self._neutral)
            self.seen = time.monotonic()
        return {
            "time": round(now, 4),
            "image": _encoded(_drawn(image, faces, mirror, progress)),
            "faces": [face_record(face) for face in faces],
            "neutral": neutral,
        }

    def capture(self, begin: bool) -> None:
        with self._lock:
            if begin:
                self._neutral.begin_capture()
            else:
                self._neutral.end_capture()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._pipeline.close()


def _known(neutral: NeutralFaces) -> dict:
    progress = neutral.progress
    return {
        "owners": neutral.owners,
        "lost": neutral.lost,
        "share": progress and round(progress.share, 3),
        "message": progress.message if progress else "",
        "done": bool(progress and progress.reference),
    }


def _drawn(
    image: np.ndarray, faces: list[Face], mirror: bool, progress: Progress | None
) -> np.ndarray:
    if mirror:
        image, faces = in_mirror(image, faces)
    return draw(image, faces, progress=progress)


def _decoded(picture: str) -> np.ndarray:
    """The RGB picture in a data URL; Refused where it holds none that can be used."""
    if len(picture) > FRAME_BYTES * 4 / 3 + 100:  # of base64, and the words before it
        raise Refused(
            f"The camera's frame is too large: at most {FRAME_BYTES >> 20} MB are taken. "
            "Choose a smaller size and try again."
        )
    try:
        data = base64.b64decode(picture.partition(",")[2], validate=True)
    except ValueError:
        data = b""
    check_picture(data, "The camera's frame", FRAME_PIXELS)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise Refused("The camera's frame is damaged.")
    if problem := too_small(image):
        raise Refused(f"The camera's frame {problem}")
    return image


def _encoded(image: np.ndarray) -> str:
    """An RGB picture as a JPEG in a data URL."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
