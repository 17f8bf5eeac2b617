"""The detector and the recogniser, opened once for whoever uses them."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

from realtime.detection.mtcnn import Detector
from realtime.recognise import Recogniser


class Networks:
    """Opens both; any number of pipelines, in any threads, may use them at the same time.

    Takes its options as :class:`Detector` and :class:`Recogniser` do; `detector_precision` is that
    of the former; threads: of both, None for as many as each takes by itself. Raises EngineError or
    DetectorError where one of them cannot be opened; what was is closed.

    They belong to whoever made this and to everybody who called :meth:`hold`, and are freed when
    the last of them has called :meth:`close`.
    """

    def __init__(
        self,
        model: str | Path = "ipd_fer",
        *,
        min_face: int = 40,
        max_faces: int | None = None,
        backend: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        detector_precision: str = "auto",
        threads: int | None = None,
    ):
        self._lock = threading.Lock()
        self._holders = 1
        with ExitStack() as opened:
            self.recogniser = Recogniser(model, backend, device, precision, threads=threads)
            opened.callback(self.recogniser.close)
            self.detector = Detector(
                min_face,
                max_faces=max_faces,
                backend=backend,
                device=device,
                threads=threads,
                precision=detector_precision,
            )
            opened.pop_all()

    @property
    def engines(self) -> dict[str, str]:
        """Name of each network → what it really runs with."""
        session = self.recogniser.session
        return {session.path.stem: session.description, **self.detector.engines}

    def hold(self) -> Networks:
        """These networks, for one holder more."""
        with self._lock:
            self._holders += 1
        return self

    def close(self) -> None:
        """One holder less; to be called once by each."""
        with self._lock:
            self._holders -= 1
            last = self._holders == 0
        if last:
            self.recogniser.close()
            self.detector.close()
