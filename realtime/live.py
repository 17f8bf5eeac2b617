"""The loop for cameras: the newest frame wins."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from realtime.source import Frame, Source


class NewestFrame:
    """Reads a live source in a thread of its own and hands out the newest frame, once each.

    Frames that come while the last one is still being worked on are replaced by later ones, so
    what is shown is never older than one frame and one pass of the pipeline. What goes wrong in
    the source is raised where the frames are taken. A context manager that stops the thread.
    """

    def __init__(self, source: Source):
        self._source = source
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._error: Exception | None = None
        self._ended = self._stopped = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._frame is not None or self._ended)
                frame, self._frame = self._frame, None
            if frame is None:
                if self._error is not None:
                    raise self._error
                return
            yield frame

    def close(self) -> None:
        """Stops reading; waits at most two seconds for a camera that hangs."""
        self._stopped = True
        self._thread.join(timeout=2)

    def __enter__(self) -> NewestFrame:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _read(self) -> None:
        try:
            for frame in self._source:
                if self._stopped:
                    break
                with self._changed:
                    self.dropped += self._frame is not None
                    self._frame = frame
                    self._changed.notify()
        except Exception as error:
            # Whatever it is belongs to the thread that takes the frames, which is told here.
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()
