"""A thread that does the work of one session, whoever asks for it.

CUDA contexts belong to threads and TensorRT's objects are not thread-safe. Where everything is
made, used and freed in one thread of its own, any thread may call.
"""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from engine.contract import EngineError


class InferenceThread:
    """Runs functions one after the other in a thread that :meth:`stop` ends.

    The thread also ends, after `cleanup`, when this object is collected and when Python exits.
    """

    def __init__(self, name: str):
        self._tasks: queue.SimpleQueue = queue.SimpleQueue()
        self._thread = threading.Thread(target=_work, args=(self._tasks,), name=name, daemon=True)
        self._thread.start()
        self._lock = threading.Lock()
        self._cleanups: list[Callable[[], None]] = []
        self._stop = weakref.finalize(self, _stop, self._tasks, self._thread, self._cleanups)

    def call(self, function: Callable, *arguments) -> Any:
        """What `function` returns, run in the thread; its errors are raised here.

        EngineError after :meth:`stop`.
        """
        future: Future = Future()
        with self._lock:
            if not self._stop.alive:
                raise EngineError("The session is closed: open a new one.")
            self._tasks.put((future, function, arguments))
        return future.result()

    def on_stop(self, cleanup: Callable[[], None]) -> None:
        """`cleanup` is called in the thread before it ends; it must not refer to this object."""
        self._cleanups.append(cleanup)

    def stop(self) -> None:
        """Waits for what was asked before, cleans up and ends the thread. Twice is fine."""
        with self._lock:
            self._stop()


def _work(tasks: queue.SimpleQueue) -> None:
    while (task := tasks.get()) is not None:
        future, function, arguments = task
        try:
            result = function(*arguments)
        except EngineError as error:
            # Anew, for a traceback would keep the frames of this thread alive, and with them
            # objects that must be freed here.
            future.set_exception(type(error)(str(error)))
        except BaseException as error:  # A mistake: raised again in the thread that asked.
            future.set_exception(error)
        else:
            future.set_result(result)
            del result
        del task, future, function, arguments


def _stop(tasks: queue.SimpleQueue, thread: threading.Thread, cleanups: list) -> None:
    for cleanup in cleanups:
        tasks.put((Future(), cleanup, ()))
    tasks.put(None)
    # The collector may run in the thread itself, which cannot wait for its own end.
    if threading.current_thread() is not thread:
        thread.join()
