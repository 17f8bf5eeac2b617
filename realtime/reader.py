"""The reader: whatever can be looked at in, the faces of every frame out."""

from __future__ import annotations

import logging
import math
import os
import weakref
from collections.abc import Generator, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np
from PIL import Image

from engine.contract import EngineError
from engine.session import Session
from realtime.habits import OF_READERS, unknown_arguments, unknown_attribute
from realtime.networks import Networks
from realtime.pipeline import FacePipeline
from realtime.population import weights_of
from realtime.reading import Reading, readings
from realtime.reference import Reference
from realtime.result import Result
from realtime.results import Results
from realtime.sources.camera import AS_IT_IS, CameraMode
from realtime.sources.frame import Frame, Source
from realtime.sources.given import COLOURS, GivenFrames, in_colour, is_given
from realtime.sources.listing import Lookable, Single, listed
from realtime.sources.open import open_source
from realtime.sources.part import WHOLE, Part
from realtime.sources.pictures import is_picture
from realtime.timing import StageTimer

if TYPE_CHECKING:
    from realtime.many.run import Report

logger = logging.getLogger(__name__)


class FaceReader:
    """Reads facial expression and head pose in anything that can be looked at.

    model: a model file, or the name of a shipped one. backend, device, precision: of the expression
    network, as :func:`engine.session.open_session` takes them. detector_precision: of the networks
    that find faces. min_face: the smallest face to look for, in pixels. max_faces: keep only so
    many, the largest; None keeps all. smoothing: 0 takes every frame by itself, larger is
    steadier. All mean what they mean on the command line.

    colour: "rgb" or "bgr", the order of the channels of every array that is given and of those that
    come back. Files, cameras and Pillow pictures say theirs.

    share: another reader, whose networks are used; they are freed with the last reader that has
    them. Model, backend, device and precisions are those of the other, all else is this one's own.

    Any threads may read at the same time. A context manager; closing also ends what is being read.

    Raises EngineError or DetectorError where the networks cannot be opened like this, ValueError
    for other options.

    >>> from realtime import FaceReader
    >>> reader = FaceReader(max_faces=1)
    >>> for result in reader("tests/data/astronaut.mp4", end=0.1):
    ...     print(result.index, result.faces[0].label, result.faces[0].track_id)
    0 happiness 0
    1 happiness 0
    2 happiness 0
    >>> reader.close()
    """

    def __init__(
        self,
        model: str | Path = "ipd_fer",
        *,
        backend: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        detector_precision: str = "auto",
        min_face: int = 40,
        max_faces: int | None = None,
        smoothing: float = 1.0,
        colour: Literal["rgb", "bgr"] = "rgb",
        share: FaceReader | None = None,
    ):
        if colour not in COLOURS:
            raise ValueError(f'colour={colour!r}: say "rgb" or "bgr".')
        if not 0 <= smoothing < math.inf:
            raise ValueError(f"smoothing={smoothing}: give 0 or more.")
        self.colour, self._smoothing = colour, smoothing
        self.timer = StageTimer()
        self._neutral: Reference | None = None
        self._open: weakref.WeakSet[Results] = weakref.WeakSet()
        self._closed = False
        asked: dict[str, Any] = {
            "model": str(model),
            "backend": backend,
            "device": device,
            "precision": precision,
            "detector_precision": detector_precision,
        }
        limits = {"min_face": min_face, "max_faces": max_faces, "smoothing": smoothing}
        self._asked: dict[str, Any] = asked | limits
        if share is None:
            self._networks = Networks(**asked, min_face=min_face, max_faces=max_faces)
            self._detector = self._networks.detector
        else:
            self._networks = _shared(share, asked)
            self._detector = share._detector.with_limits(min_face, max_faces)
            self._networks.hold()
            self._asked = share._asked | limits
        for name, engine in self._networks.engines.items():
            logger.info("%s: %s", name, engine)

    def __call__(
        self,
        source: Lookable,
        *,
        fps: float | None = None,
        start: float = 0.0,
        end: float | None = None,
        every: int = 1,
        camera_size: tuple[int, int] | None = None,
        camera_fps: float | None = None,
        **others: NoReturn,
    ) -> Results:
        """The results of all frames, one by one, as they are asked for.

        source: a path, glob, folder (its pictures, and the videos in it and below), URL, camera
            number, "-" for a video on standard input, NumPy array (uint8 H×W×3 in the reader's
            colour order), Pillow picture, or a list of these, which are read one after another.
        fps: `source` is a list, an iterator or an array N×H×W×3 of frames of a video, so many a
            second; without it, pictures have nothing to do with each other.
        start, end: seconds of each video, stream or camera to begin with and to stop before.
        every: one of so many frames is read.
        camera_size, camera_fps: width and height, and frames a second, that a camera is asked for.

        Of files every frame is read. Of a camera or stream the newest is, what comes meanwhile is
        dropped, what breaks is opened again, and there is no end but `end` and the caller's:
        leaving the loop frees the camera. Every source has ids of its own.

        Raises SourceError for what is not there, TypeError or ValueError for what is no source.
        While it is read, a source that breaks off ends with the others still read, and SourceError
        comes at the end.
        """
        if others:
            raise unknown_arguments(list(others))
        self._check_open()
        part, camera = Part(start, end, every), CameraMode(camera_size, camera_fps)
        opened = self.readings(listed(source, self.colour, fps), part, camera)
        results = Results(opened, self._result, ends=end is not None)
        self._open.add(results)
        return results

    def read(self, picture: str | os.PathLike[str] | np.ndarray | Image.Image) -> Result:
        """The result of one picture: a path, a NumPy array or a Pillow picture.

        Raises SourceError for a file that is no picture, TypeError or ValueError for what is none
        or several.

        >>> import cv2
        >>> from realtime import FaceReader
        >>> with FaceReader(colour="bgr") as reader:
        ...     result = reader.read(cv2.imread("realtime/web/examples/two.jpg"))
        >>> len(result.faces), result.plot().shape == result.image.shape
        (2, True)
        """
        self._check_open()
        with self._picture(picture) as source, self.pipeline(still=True) as pipeline:
            frame = next(iter(source))
            return self._result(source, pipeline, frame)

    def videos(
        self,
        sources: Iterable[str | os.PathLike[str]],
        output: str | os.PathLike[str],
        *,
        workers: int | None = None,
        ray: str | None = None,
    ) -> Report:
        """Every video of files, patterns and folders into a Parquet file below `output`, read as
        this reader reads, but in processes with networks of their own; see
        :func:`realtime.many.run.read_videos`, which says what is resumed and what it raises.

        With :attr:`neutral` the largest face of each video's first frame that shows one is read
        against it, until it is lost."""
        # Here, as both load what only they need.
        from realtime.many.job import Reading as Job
        from realtime.many.run import read_videos

        asked = Job(**self._asked, neutral=self._neutral)
        paths = [os.fspath(source) for source in sources]
        return read_videos(paths, os.fspath(output), reading=asked, workers=workers, ray=ray)

    def readings(
        self, sources: list[Single], part: Part = WHOLE, camera: CameraMode = AS_IT_IS
    ) -> Generator[Reading, None, None]:
        """The sources, as :func:`listed` gives them, each open with a pipeline of its own until the
        next is asked for: for a program that draws and records by itself."""
        self._check_open()
        return readings(sources, part, camera, lambda still: self._pipeline(still, self.timer))

    def pipeline(self, still: bool = False) -> FacePipeline:
        """A pipeline for frames that come one by one from elsewhere. Close it; it leaves the
        networks open. still: for pictures that have nothing to do with each other."""
        self._check_open()
        return self._pipeline(still, None)

    @property
    def session(self) -> Session:
        """The engine session of the expression network."""
        return self._networks.recogniser.session

    @property
    def engines(self) -> dict[str, str]:
        """Name of each network → what it really runs with."""
        return self._networks.engines

    @property
    def neutral(self) -> Reference | None:
        """The resting face that the largest face of each source is read against from the next frame
        on; None reads faces as the network does. ValueError for a reference of another model.

        `reader.neutral = Reference.capture(reader("rest.mp4"))`, or `Reference.load("me.json")`.
        """
        return self._neutral

    @neutral.setter
    def neutral(self, reference: Reference | None) -> None:
        if reference is not None and not isinstance(reference, Reference):
            raise TypeError(
                f"A resting face is a Reference or None, not {type(reference).__name__}: give "
                'Reference.load("me.json") or Reference.capture(reader("rest.mp4")).'
            )
        if reference is not None and reference.population.model != weights_of(self.session):
            raise ValueError(
                f"The reference belongs to another model than {self.session.path.name}: capture "
                "it anew with this reader."
            )
        self._neutral = reference

    def close(self) -> None:
        """Ends what is being read and gives the networks back. Closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        for results in list(self._open):
            results.close()
        self._networks.close()

    def __enter__(self) -> FaceReader:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str):
            raise unknown_attribute("reader", name, OF_READERS)

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("This reader is closed: open a new one.")

    def _pipeline(self, still: bool, timer: StageTimer | None) -> FacePipeline:
        return FacePipeline(
            self._detector,
            self._networks.recogniser,
            self._smoothing,
            still,
            owns=False,
            timer=timer,
        )

    def _picture(self, picture: Any) -> Source:
        if isinstance(picture, (str, os.PathLike)):
            (path, *others) = listed(picture)
            if others or not (isinstance(path, str) and _is_picture_file(path)):
                raise ValueError(
                    f"{picture} is no single picture: go through reader({str(picture)!r})."
                )
            return open_source(path)
        if isinstance(picture, int) and not isinstance(picture, bool):
            raise TypeError(f"A camera is no picture: go through reader({picture}).")
        if isinstance(picture, (list, tuple)):
            raise TypeError("A list is no picture: go through reader(list), or give one of it.")
        if not is_given(picture):
            listed(picture)  # which tells what is wrong
        return GivenFrames([picture], self.colour)

    def _result(self, source: Source, pipeline: FacePipeline, frame: Frame) -> Result:
        # Pictures need not show their faces in the same order.
        if pipeline.neutral.used is not self._neutral or source.still:
            pipeline.neutral.use(self._neutral)
        faces = tuple(pipeline.process(frame))
        image = in_colour(frame.image, self.colour)
        return Result(faces, image, frame.time, frame.index, source.name, self.colour)


def _shared(other: FaceReader, asked: dict[str, str]) -> Networks:
    other._check_open()
    own = [name for name, value in asked.items() if value not in ("auto", "ipd_fer")]
    if own:
        raise ValueError(
            f"share=… has its own networks: leave {' and '.join(own)} out, or open a reader of "
            "its own."
        )
    return other._networks


def _is_picture_file(path: str) -> bool:
    with suppress(OSError):
        file = Path(path).expanduser()
        return file.suffix.lower() != ".gif" and file.is_file() and is_picture(file)
    return False
