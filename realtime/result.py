"""What a reader gives for one frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from realtime.faces import Face
from realtime.habits import OF_RESULTS, unknown_attribute
from realtime.output.overlay import draw, in_mirror
from realtime.output.records import CsvSink, face_row, frame_record
from realtime.sources.given import in_colour

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """The faces of one frame. Made by a :class:`~realtime.reader.FaceReader`.

    faces: largest first, each with id, expression and pose; angles in degrees and pixels as
    :mod:`realtime.faces` has them. image: the frame, uint8 H×W×3, upright, its channels in the
    order `colour`; an array that was given is not copied. time: seconds since the first frame of
    the source, or since a camera was opened. index: of the frame, counts from 0 in each source.
    source: the name of the source. colour: "rgb" or "bgr", as the reader was told.

    >>> from realtime import FaceReader
    >>> with FaceReader() as reader:
    ...     result = next(reader("tests/data/astronaut.mp4"))
    >>> result.index, result.time, result.image.shape
    (0, 0.0, (480, 640, 3))
    >>> face = result.faces[0]
    >>> face.label, face.probabilities["happiness"] > 0.9, abs(face.pose.yaw) < 20
    ('happiness', True, True)
    >>> result.plot().shape
    (480, 640, 3)
    >>> list(result.to_dict())
    ['frame', 'time', 'faces']
    """

    faces: tuple[Face, ...]
    image: np.ndarray
    time: float
    index: int
    source: str
    colour: str = "rgb"

    def plot(self, *, show_pose: bool = True, mirror: bool = False) -> np.ndarray:
        """A new picture with the faces drawn in, as :func:`realtime.output.overlay.draw` does:
        uint8 H×W×3, its channels in the order `colour`. The image itself stays as it is.

        mirror: as in a mirror, legible.
        """
        # RGB and BGR are turned into each other in the same way; drawing is done in RGB.
        image, faces = in_colour(self.image, self.colour), list(self.faces)
        if mirror:
            image, faces = in_mirror(image, faces)
        elif image is self.image:
            image = image.copy()
        return in_colour(draw(image, faces, show_pose=show_pose), self.colour)

    def to_dict(self) -> dict[str, Any]:
        """The record of the frame, ready for JSON: `frame`, `time` and `faces`, each as a line of
        :class:`realtime.output.records.JsonlSink` has it, rounded alike."""
        return frame_record(self.index, self.time, self.faces)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str):
            raise unknown_attribute("result", name, OF_RESULTS)


def to_df(results: Iterable[Result], kind: Literal["pandas", "polars"] = "pandas") -> Any:
    """A data frame of these results, one row a face; a frame without faces has no row.

    Columns: `source` and those of :class:`realtime.output.records.CsvSink`, rounded alike, those of
    a reference where a face was read against one.
    ModuleNotFoundError where the package `kind` is not installed.
    """
    if kind not in ("pandas", "polars"):
        raise ValueError(f'There are no data frames of {kind}: say "pandas" or "polars".')
    package = _package(kind)
    results = list(results)
    wide = any(face.raw is not None for result in results for face in result.faces)
    columns = ["source", *CsvSink.COLUMNS, *(CsvSink.REFERENCE_COLUMNS if wide else ())]
    rows = [
        [result.source, *face_row(result.index, result.time, face, wide)]
        for result in results
        for face in result.faces
    ]
    if kind == "pandas":
        frame: pandas.DataFrame = package.DataFrame(rows, columns=columns)
        return frame
    return package.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)


def _package(name: str) -> Any:
    try:
        return __import__(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ModuleNotFoundError(
            f"A data frame of {name} needs that package: `pip install {name}`.", name=name
        ) from None
