"""What all visitors share, and what each has alone."""

from __future__ import annotations

from engine.session import Session
from realtime.pipeline import FacePipeline
from realtime.reader import FaceReader

MODEL = "ipd_fer"
"""The shipped model that the page runs."""


class Networks:
    """A reader that everybody shares; a context manager that closes it. Any thread may use it.

    backend, device: as in :func:`engine.session.open_session`. Raises EngineError where they
    cannot work, here and not at the first visitor.
    """

    def __init__(self, backend: str = "auto", device: str = "auto"):
        self._reader = FaceReader(MODEL, backend=backend, device=device)

    @property
    def engines(self) -> dict[str, str]:
        """Name of each network → what it really runs with."""
        return self._reader.engines

    @property
    def detector_description(self) -> str:
        """What the first network that finds faces really runs with."""
        return self.engines["mtcnn_pnet"]

    @property
    def session(self) -> Session:
        """The engine session of the recogniser."""
        return self._reader.session

    def pipeline(self) -> FacePipeline:
        """For a video or camera: with a tracker and a smoother of its own. Close it."""
        return self._reader.pipeline()

    def picture_pipeline(self) -> FacePipeline:
        """For one picture. Close it."""
        return self._reader.pipeline(still=True)

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> Networks:
        return self

    def __exit__(self, *exception) -> None:
        self.close()
