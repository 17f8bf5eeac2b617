"""What all visitors share, and what each has alone."""

from __future__ import annotations

from engine.session import Session
from realtime.detection.mtcnn import Detector
from realtime.pipeline import FacePipeline
from realtime.recognise import Recogniser

MODEL = "ipd_fer"
"""The shipped model that the page runs."""


class Networks:
    """Opens the recogniser once for everybody; a context manager that closes it.

    backend, device: as in :func:`engine.session.open_session`. Raises EngineError where they
    cannot work, here and not at the first visitor.
    """

    def __init__(self, backend: str = "auto", device: str = "auto"):
        self._recogniser = _SharedRecogniser(MODEL, backend, device)
        self._detector = _SharedDetector(backend=backend, device=device)
        self.detector_description = self._detector.description

    @property
    def engines(self) -> dict[str, str]:
        """Name of each network → what it really runs with."""
        return {self.session.path.stem: self.session.description, **self._detector.engines}

    @property
    def session(self) -> Session:
        """The engine session of the recogniser."""
        return self._recogniser.session

    def pipeline(self) -> FacePipeline:
        """For a video or camera: with a tracker and a smoother of its own. Close it."""
        return FacePipeline(self._detector, self._recogniser)

    def picture_pipeline(self) -> FacePipeline:
        """For one picture. Close it."""
        return FacePipeline(self._detector, self._recogniser, still=True)

    def close(self) -> None:
        Recogniser.close(self._recogniser)
        Detector.close(self._detector)

    def __enter__(self) -> Networks:
        return self

    def __exit__(self, *exception) -> None:
        self.close()


class _SharedRecogniser(Recogniser):
    """Stays open when one of the pipelines that use it is closed; any thread may run it."""

    def close(self) -> None:
        pass


class _SharedDetector(Detector):
    """Stays open likewise: opening one for every stream stops the others meanwhile, and one for
    every picture scatters memory."""

    def close(self) -> None:
        pass
