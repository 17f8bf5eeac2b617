"""Reading ahead and writing behind in threads, so that decoding, inference and encoding overlap."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

Item = TypeVar("Item")

DEPTH = 4
"""Items in a queue: enough to smooth out uneven work, few enough to cost little memory."""

_END = object()


def read_ahead(items: Iterable[Item]) -> Generator[Item, None, None]:
    """The same items, made in a thread up to :data:`DEPTH` ahead of their use.

    What goes wrong in `items` is raised here, after every item that came before it. Leaving the
    loop early stops the thread.
    """
    ready: queue.Queue = queue.Queue(DEPTH)
    stop = threading.Event()
    faults: list[BaseException] = []

    def read() -> None:
        try:
            for item in items:
                if not _put(ready, item, stop):
                    return
        except Exception as error:
            # Raised again in the thread that uses the items.
            faults.append(error)
        _put(ready, _END, stop)

    thread = threading.Thread(target=read, name="reader", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            yield item
        if faults:
            raise faults[0]
    finally:
        stop.set()
        thread.join()


class WriteBehind:
    """Calls `write` in a thread of its own, in order, up to :data:`DEPTH` calls behind.

    An error of `write` is raised by the next call or by :meth:`close`; what comes after it is
    dropped.
    """

    def __init__(self, write: Callable[..., None]):
        self._write = write
        self._waiting: queue.Queue = queue.Queue(DEPTH)
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def __call__(self, *arguments) -> None:
        self._raise_fault()
        self._waiting.put(arguments)

    def close(self) -> None:
        """Waits until everything is written."""
        self._waiting.put(_END)
        self._thread.join()
        self._raise_fault()

    def _run(self) -> None:
        while (arguments := self._next()) is not _END:
            if self._fault is None:
                try:
                    self._write(*arguments)
                except Exception as error:
                    # Raised again in the thread that hands over the next item.
                    self._fault = error

    def _next(self):
        while True:
            try:
                # Ctrl-C in the midst of a hand-over can lose the wake-up call, not the item.
                return self._waiting.get(timeout=0.1)
            except queue.Empty:
                continue

    def _raise_fault(self) -> None:
        if self._fault is not None:
            fault, self._fault = self._fault, _Reported()
            if not isinstance(fault, _Reported):
                raise fault


class _Reported(Exception):
    """Stands for an error that was already raised."""


def _put(ready: queue.Queue, item, stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            ready.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False
