"""The prepared format: a folder that any recipe can train on, whatever the dataset was.

``faces.npy``      uint8 (n, 112, 112, channels), aligned faces; 1 channel (grey) or 3 (RGB)
``labels.csv``     one row a face: id, split, label, votes, pose, landmarks (see :data:`COLUMNS`)
``prepared.json``  dataset name, class names, where the pose labels come from, counts
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from realtime.align import FACE_SIZE
from train.errors import UserError
from train.files import read_array, read_csv, read_json, whole, write_json

SPLITS = ("train", "validation", "test", "unlabelled")
POSE = ("yaw", "pitch", "roll")
POINTS = tuple(f"{axis}{point}" for point in range(5) for axis in "xy")
COLUMNS = ("id", "split", "label", *POSE, "pose_trusted", "rotation", *POINTS)
"""Columns of labels.csv, before one ``votes_<class>`` column for each class. ``yaw``, ``pitch`` and
``roll`` are degrees in the original picture (signs: realtime.faces.HeadPose), ``rotation`` is by
how many degrees alignment turned it clockwise, ``pose_trusted`` is 1 where pose and landmarks can
be believed, points are pixels of the original picture."""


@dataclass(frozen=True)
class PreparedFaces:
    """Aligned faces with their labels; arrays are parallel.

    faces: uint8 (n, 112, 112, channels), possibly memory-mapped. ids: n strings.
    label: int64 (n,), index into `classes`, -1 where there is none.
    votes: float32 (n, classes), annotators' counts (one-hot where a dataset has one label a face).
    pose: float32 (n, 3), yaw, pitch and roll in degrees in the original picture, NaN if unknown.
    pose_trusted: bool (n,). rotation: float32 (n,), degrees clockwise, see :data:`COLUMNS`.
    """

    classes: tuple[str, ...]
    faces: np.ndarray
    ids: np.ndarray
    split: np.ndarray
    label: np.ndarray
    votes: np.ndarray
    pose: np.ndarray
    pose_trusted: np.ndarray
    rotation: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, *splits: str) -> np.ndarray:
        """Indices of the faces in these splits, in file order."""
        unknown = set(splits) - set(SPLITS)
        if unknown:
            raise ValueError(f"Unknown split {', '.join(unknown)}; there are {', '.join(SPLITS)}.")
        return np.flatnonzero(np.isin(self.split, splits))

    def only(self, rows: np.ndarray) -> PreparedFaces:
        """These faces alone, read into memory."""
        arrays = {
            field.name: getattr(self, field.name)[rows]
            for field in fields(self)
            if field.name != "classes"
        }
        return PreparedFaces(self.classes, **arrays)


@dataclass(frozen=True)
class LabelledFace:
    """One face on its way into the prepared format; fields as in :data:`COLUMNS`."""

    id: str
    split: str
    label: str
    votes: tuple[int, ...]
    pose: tuple[float, float, float]
    pose_trusted: bool
    rotation: float
    landmarks: np.ndarray


def write_prepared(
    folder: Path,
    dataset: str,
    classes: tuple[str, ...],
    pose_from: str,
    rows,
    count: int,
    channels: int,
) -> dict[str, int]:
    """Write `count` pairs (LabelledFace, uint8 (112, 112, channels)) from the iterable `rows`.

    Returns the number of faces in each split. Files appear under their names only once whole.
    """
    shape = (count, FACE_SIZE, FACE_SIZE, channels)
    counts = dict.fromkeys(SPLITS, 0)
    about = {"dataset": dataset, "classes": classes, "pose_from": pose_from, "counts": counts}
    with _prepared_files(folder, about) as (faces_part, labels_part):
        faces = np.lib.format.open_memmap(faces_part, mode="w+", dtype=np.uint8, shape=shape)
        with open(labels_part, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*COLUMNS, *(f"votes_{name}" for name in classes)])
            for index, (row, face) in enumerate(rows):
                faces[index] = face
                counts[row.split] += 1
                writer.writerow(_cells(row))
        faces.flush()
        del faces
    return counts


def _cells(row: LabelledFace) -> list:
    angles = [f"{angle:.1f}" for angle in row.pose]
    points = [f"{value:.2f}" for value in row.landmarks.reshape(-1)]
    trusted, rotation = int(row.pose_trusted), f"{row.rotation:.2f}"
    return [row.id, row.split, row.label, *angles, trusted, rotation, *points, *row.votes]


@contextmanager
def _prepared_files(folder: Path, about: dict) -> Iterator[tuple[Path, Path]]:
    """Where to write what becomes faces.npy and labels.csv when the block ends; prepared.json, of
    `about`, follows them. All three are of one writing: what stops in between leaves no
    prepared.json, without which the folder is not read."""
    with whole(folder / "labels.csv") as labels, whole(folder / "faces.npy") as faces:
        yield faces, labels
        (folder / "prepared.json").unlink(missing_ok=True)
    write_json(folder / "prepared.json", about)


AGAIN = "prepare the data set again"


def read_labelled(folder: Path, data: PreparedFaces) -> Iterator[tuple[LabelledFace, np.ndarray]]:
    """What :func:`write_prepared` was given for `folder`, whose faces `data` are."""
    columns = (*COLUMNS, *(f"votes_{name}" for name in data.classes))
    for row, face in zip(read_csv(folder / "labels.csv", columns, AGAIN), data.faces, strict=True):
        points = np.array([row[name] for name in POINTS], dtype=np.float64).reshape(-1, 2)
        labelled = LabelledFace(
            id=row["id"],
            split=row["split"],
            label=row["label"],
            votes=tuple(int(float(row[f"votes_{name}"])) for name in data.classes),
            pose=(float(row["yaw"]), float(row["pitch"]), float(row["roll"])),
            pose_trusted=float(row["pose_trusted"]) > 0,
            rotation=float(row["rotation"]),
            landmarks=points,
        )
        yield labelled, face


def read_prepared(folder: Path) -> PreparedFaces:
    """The prepared faces in `folder`; UserError names the piece that is missing or broken."""
    for name in ("prepared.json", "faces.npy", "labels.csv"):
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}: make it with `python -m train prepare`.")
    classes = _classes(folder)
    faces = read_array(folder / "faces.npy", AGAIN, mmap_mode="r")
    if faces.dtype != np.uint8 or faces.shape[1:3] != (FACE_SIZE,) * 2 or faces.ndim != 4:
        raise UserError(
            f"{folder / 'faces.npy'} holds {faces.dtype} {faces.shape}, no aligned faces: {AGAIN}."
        )
    votes = [f"votes_{name}" for name in classes]
    rows = read_csv(folder / "labels.csv", (*COLUMNS, *votes), AGAIN)
    if len(rows) != len(faces):
        raise UserError(
            f"{folder}: labels.csv has {len(rows)} rows and faces.npy {len(faces)} faces: {AGAIN}."
        )

    def numbers(*columns: str) -> np.ndarray:
        cells = [[row[column] for column in columns] for row in rows]
        try:
            return np.array(cells, dtype=np.float32).reshape(len(rows), len(columns))
        except ValueError as error:
            raise UserError(f"{folder / 'labels.csv'}: {error}: {AGAIN}.") from None

    index_of = {name: index for index, name in enumerate(classes)} | {"": -1}
    _check_words(folder / "labels.csv", rows, "label", index_of)
    _check_words(folder / "labels.csv", rows, "split", SPLITS)
    return PreparedFaces(
        classes=classes,
        faces=faces,
        ids=np.array([row["id"] for row in rows]),
        split=np.array([row["split"] for row in rows]),
        label=np.array([index_of[row["label"]] for row in rows], dtype=np.int64),
        votes=numbers(*votes),
        pose=numbers(*POSE),
        pose_trusted=numbers("pose_trusted")[:, 0] > 0,
        rotation=numbers("rotation")[:, 0],
    )


def _classes(folder: Path) -> tuple[str, ...]:
    path = folder / "prepared.json"
    classes = read_json(path, AGAIN)["classes"]
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise UserError(f"{path} is broken, classes is {classes!r}: {AGAIN}.")
    return tuple(classes)


def _check_words(path: Path, rows: list[dict], column: str, known: Collection[str]) -> None:
    for number, row in enumerate(rows, start=2):
        if row[column] not in known:
            words = ", ".join(filter(None, known))
            raise UserError(
                f"{path}, line {number}: there is no {column} {row[column]!r}, only {words}."
            )
