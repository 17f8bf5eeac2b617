"""What the dataset readers share: a labelled picture in, an aligned face out.

A reader lists its dataset as :class:`Picture`; :func:`write_pictures` finds faces where the dataset
gives no landmarks, aligns, labels the pose and writes the prepared format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from realtime.align import FACE_SIZE, TEMPLATE, align, rotation_of, similarity_transform
from train.data.find_faces import FaceFinder
from train.data.pose_labels import PoseLabels
from train.data.prepared import LabelledFace, write_prepared
from train.errors import UserError
from train.progress import progress

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class Picture:
    """A picture of a dataset, not yet read.

    id: its path below the dataset's pictures, with ``/``. split, label: as in the prepared format.
    landmarks: float (5, 2), the points of realtime.faces.LANDMARKS in its pixels; None if unknown.
    box: x1, y1, x2, y2 around the face in its pixels; None for the whole picture.
    """

    id: str
    split: str
    label: str
    path: Path
    landmarks: np.ndarray | None = None
    box: tuple[float, float, float, float] | None = None


def write_pictures(
    dataset: str,
    classes: tuple[str, ...],
    pictures: Sequence[Picture],
    output: Path,
    pose: PoseLabels,
    find_faces: bool,
    grey: bool,
) -> dict[str, int]:
    """Write `pictures` in the prepared format; returns the number of faces in each split.

    A face without landmarks gets the average crop, and its pose is not trusted. With `find_faces`
    MTCNN looks for the landmarks that the dataset does not give.
    """
    if not pictures:
        raise UserError(f"{dataset}: there is not one picture to prepare.")
    pose.check(picture.id for picture in pictures)
    if find_faces:
        pictures = _find_missing(dataset, pictures)
    rows = _aligned_rows(dataset, classes, pictures, pose, grey)
    channels = 1 if grey else 3
    return write_prepared(output, dataset, classes, pose.name, rows, len(pictures), channels)


def hold_out(pictures: Sequence[Picture], share: float, seed: int, split: str) -> list[Picture]:
    """The pictures with a `share` of each class of the training split moved to `split`.

    Which ones depends on `seed` and on the ids, not on the order of the list.
    """
    if not 0 < share < 1:
        raise UserError(f"The share of pictures held out must lie between 0 and 1, not {share}.")
    random = np.random.default_rng(seed)
    moved = set()
    training = [picture for picture in pictures if picture.split == "train"]
    for label in sorted({picture.label for picture in training}):
        ids = sorted(picture.id for picture in training if picture.label == label)
        moved.update(random.permutation(ids)[: round(share * len(ids))].tolist())
    return [replace(p, split=split) if p.id in moved else p for p in pictures]


def read_picture(path: Path, grey: bool) -> np.ndarray:
    """A picture file as uint8 (h, w, 1) grey or (h, w, 3) RGB; UserError where it is none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path.parent} has no {path.name}.") from None
    return decode_picture(data, grey, str(path))


def decode_picture(data: bytes, grey: bool, name: str) -> np.ndarray:
    """The bytes of a picture file as uint8 (h, w, 1) grey or (h, w, 3) RGB.

    UserError that calls it `name` where they are no picture.
    """
    # OpenCV raises on an empty buffer and returns None for any other that it cannot read.
    flags = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if picture is None:
        raise UserError(f"{name} is not a readable picture.")
    return picture[:, :, None] if grey else np.ascontiguousarray(picture[:, :, ::-1])


def aligned_face(picture: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, float]:
    """The aligned face, uint8 (112, 112, channels), and by how many degrees it was turned
    clockwise; from a picture (h, w, channels) and five points (5, 2) in its pixels."""
    transform = similarity_transform(landmarks)
    face = align(picture, transform).reshape(FACE_SIZE, FACE_SIZE, picture.shape[2])
    return face, rotation_of(transform)


def read_faces(paths: Sequence[Path]) -> np.ndarray:
    """The largest face in each picture file, aligned: uint8 (n, 112, 112, 3), RGB. UserError for
    the first one without a face that MTCNN finds."""
    finder, faces = FaceFinder(), []
    for path in paths:
        picture = read_picture(path, grey=False)
        points = finder.landmarks(picture)
        if points is None:
            raise UserError(f"{path}: MTCNN finds no face in it.")
        faces.append(aligned_face(picture, points)[0])
    return np.stack(faces)


def one_hot(label: str, classes: tuple[str, ...]) -> tuple[int, ...]:
    """One vote for `label`; none at all for ""."""
    return tuple(int(name == label) for name in classes)


def five_of_68(points: np.ndarray) -> np.ndarray:
    """The five points (5, 2) of the 68 (68, 2) of Multi-PIE, counted from 0: the eye centres as
    means of their six points, nose tip 30, mouth corners 48 and 54."""
    eyes = [points[36:42].mean(axis=0), points[42:48].mean(axis=0)]
    return np.stack([*eyes, points[30], points[48], points[54]])


def average_landmarks(frames: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Mean of landmarks (n, 5, 2) in units of their frames (n, 4), x1 y1 x2 y2; float64 (5, 2)
    between 0 and 1. Without any, those of a face aligned to the template."""
    if not len(landmarks):
        return TEMPLATE.astype(np.float64) / FACE_SIZE
    sizes = frames[:, None, 2:] - frames[:, None, :2]
    return ((landmarks - frames[:, None, :2]) / sizes).mean(axis=0)


def _find_missing(dataset: str, pictures: Sequence[Picture]) -> list[Picture]:
    missing = sum(picture.landmarks is None for picture in pictures)
    if not missing:
        return list(pictures)
    finder, found, result = FaceFinder(), 0, []
    with progress(total=missing, desc=f"Finding faces of {dataset}", unit="face") as done:
        for picture in pictures:
            if picture.landmarks is None:
                pixels = read_picture(picture.path, grey=False)
                points = finder.landmarks(pixels, picture.box)
                picture = replace(picture, landmarks=points, box=_frame(picture, pixels))
                found += points is not None
                done.update()
            result.append(picture)
    print(f"MTCNN found {found} of {missing} faces; the others get the average crop.")
    return result


def _aligned_rows(dataset, classes, pictures, pose, grey):
    average = _average_of(pictures)
    for picture in progress(pictures, desc=f"Aligning {dataset}", unit="face"):
        pixels = read_picture(picture.path, grey)
        located = picture.landmarks is not None
        points = picture.landmarks if located else _in_frame(average, _frame(picture, pixels))
        try:
            face, rotation = aligned_face(pixels, points)
        except ValueError as error:
            raise UserError(f"{picture.path}: {error}") from None
        angles = pose.angles(picture.id, face, rotation)
        row = LabelledFace(
            id=picture.id,
            split=picture.split,
            label=picture.label,
            votes=one_hot(picture.label, classes),
            pose=angles,
            pose_trusted=located and bool(np.isfinite(angles).all()),
            rotation=rotation,
            landmarks=points,
        )
        yield row, face


def _average_of(pictures: Sequence[Picture]) -> np.ndarray:
    known = [
        (p.box, p.landmarks) for p in pictures if p.landmarks is not None and p.box is not None
    ]
    frames, points = [box for box, _ in known], [landmarks for _, landmarks in known]
    return average_landmarks(np.reshape(frames, (-1, 4)), np.reshape(points, (-1, 5, 2)))


def _frame(picture: Picture, pixels: np.ndarray) -> tuple[float, float, float, float]:
    height, width = pixels.shape[:2]
    return picture.box or (0.0, 0.0, float(width), float(height))


def _in_frame(points: np.ndarray, frame: tuple[float, float, float, float]) -> np.ndarray:
    x1, y1, x2, y2 = frame
    return np.array([x1, y1]) + points * np.array([x2 - x1, y2 - y1])
