"""The faces of one picture, and the files that show them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.output import write
from realtime.align import align, similarity_transform
from realtime.faces import Face
from realtime.output.files import encoded
from realtime.output.overlay import draw
from realtime.output.records import JsonlSink, face_record
from realtime.sources.frame import Frame, too_small
from realtime.sources.pictures import PictureError, read_picture
from realtime.web.checks import PICTURE, Refused
from realtime.web.networks import Networks

COLUMNS = (
    "id",
    "expression",
    "probability",
    "yaw",
    "pitch",
    "roll",
    "left",
    "top",
    "width",
    "height",
)
"""Of the table: degrees and pixels of the picture as it is stored."""

LONGEST = 65_500
"""Most pixels of a side: what the library that writes the annotated JPEG takes."""

CROP_SIZE = 224
"""Pixels of an aligned face as shown: twice what the network sees."""


@dataclass(frozen=True, slots=True)
class PictureResult:
    """annotated: a JPEG. record: JSON, one line as `--jsonl` writes it. crops: aligned faces with
    captions. rows: of the table, one a face under :data:`COLUMNS`."""

    annotated: Path
    record: Path
    crops: list[tuple[str, str]]
    rows: list[list]


def recognise_picture(path: Path, networks: Networks, folder: Path) -> PictureResult:
    """All faces of the picture in `path`, largest first; files are written into `folder`.

    A large picture is looked at and shown in a smaller size. Raises Refused for what is no
    picture, is too large or too small.
    """
    try:
        picture = read_picture(path, PICTURE)
    except PictureError as error:
        raise Refused(f"{path.name} {error}") from None
    image = picture.image
    if problem := too_small(image):
        raise Refused(f"{path.name} {problem}")
    if max(image.shape) > LONGEST:
        raise Refused(
            f"{path.name} is too long: at most {LONGEST} pixels a side are taken. "
            "Cut it and try again."
        )
    frame = Frame(image, 0, 0.0)
    with networks.picture_pipeline() as pipeline:
        faces = pipeline.process(frame)
    crops = [_crop(image, face, folder) for face in faces]
    stored = [_as_stored(face, picture.scale) for face in faces]
    record = folder / "faces.json"
    with JsonlSink(record) as sink:
        sink.write(frame, stored)
    annotated = folder / "annotated.jpg"
    _write(annotated, draw(image, faces))
    return PictureResult(annotated, record, crops, [_row(face) for face in stored])


def _as_stored(face: Face, scale: float) -> Face:
    """A face in pixels of the file, where the picture was made smaller."""
    return replace(face, box=face.box * scale, landmarks=face.landmarks * scale)


def _crop(image: np.ndarray, face: Face, folder: Path) -> tuple[str, str]:
    """An aligned face as a file, and its caption."""
    transform = similarity_transform(face.landmarks) * (CROP_SIZE / 112)
    path = folder / f"face-{face.track_id}.png"
    _write(path, align(image, transform, CROP_SIZE))
    return str(path), f"#{face.track_id} {face.label}"


def _row(face: Face) -> list:
    record = face_record(face)
    x1, y1, x2, y2 = record["box"]
    return [
        *(face.track_id, face.label, f"{face.probability:.0%}"),
        *(f"{round(angle):+d}°" for angle in record["pose"].values()),
        *(round(value) for value in (x1, y1, x2 - x1, y2 - y1)),
    ]


def _write(path: Path, image: np.ndarray) -> None:
    """EngineError where the file cannot be written whole."""
    write(path, encoded(image, path.suffix))
