"""The prepared format: a folder that any recipe can train on, whatever the dataset was.

``faces.npy``      uint8 (n, 112, 112, channels), aligned faces; 1 channel (grey) or 3 (RGB)
``labels.csv``     one row a face: id, split, label, votes, pose, landmarks (see :data:`COLUMNS`)
``prepared.json``  dataset name, class names, where the pose labels come from, counts
"""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from realtime.align import FACE_SIZE

SPLITS = ("train", "validation", "test", "unlabelled")
POSE = ("yaw", "pitch", "roll")
POINTS = tuple(f"{axis}{point}" for point in range(5) for axis in "xy")
COLUMNS = ("id", "split", "label", *POSE, "pose_trusted", "rotation", *POINTS)
"""Columns of labels.csv, before one ``votes_<class>`` column for each class. ``yaw``, ``pitch`` and
``roll`` are degrees in the original picture (signs: realtime.faces.HeadPose), ``rotation`` is by
how many degrees alignment turned it clockwise, ``pose_trusted`` is 1 where pose and landmarks can
be believed, points are pixels of the original picture."""


class DataError(Exception):
    """The data on disk is not what it should be; the message says which piece and what to do."""


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
    folder.mkdir(parents=True, exist_ok=True)
    faces_part, labels_part = folder / "faces.npy.part", folder / "labels.csv.part"
    shape = (count, FACE_SIZE, FACE_SIZE, channels)
    faces = np.lib.format.open_memmap(faces_part, mode="w+", dtype=np.uint8, shape=shape)
    counts = dict.fromkeys(SPLITS, 0)
    with open(labels_part, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, *(f"votes_{name}" for name in classes)])
        for index, (row, face) in enumerate(rows):
            faces[index] = face
            counts[row.split] += 1
            angles = [f"{angle:.1f}" for angle in row.pose]
            points = [f"{value:.2f}" for value in row.landmarks.reshape(-1)]
            trusted, rotation = int(row.pose_trusted), f"{row.rotation:.2f}"
            writer.writerow(
                [row.id, row.split, row.label, *angles, trusted, rotation, *points, *row.votes]
            )
    faces.flush()
    del faces
    about = {"dataset": dataset, "classes": classes, "pose_from": pose_from, "counts": counts}
    os.replace(faces_part, folder / "faces.npy")
    os.replace(labels_part, folder / "labels.csv")
    (folder / "prepared.json").write_text(json.dumps(about, indent=2) + "\n")
    return counts


def read_prepared(folder: Path) -> PreparedFaces:
    """The prepared faces in `folder`; DataError names the piece that is missing or broken."""
    for name in ("prepared.json", "faces.npy", "labels.csv"):
        if not (folder / name).is_file():
            raise DataError(f"{folder} has no {name}: make it with `python -m train prepare`.")
    classes = tuple(json.loads((folder / "prepared.json").read_text())["classes"])
    faces = np.load(folder / "faces.npy", mmap_mode="r")
    with open(folder / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    if len(rows) != len(faces):
        raise DataError(
            f"{folder}: labels.csv has {len(rows)} rows and faces.npy {len(faces)} faces: "
            "prepare the dataset again."
        )

    def numbers(*columns: str) -> np.ndarray:
        return np.array([[row[column] for column in columns] for row in rows], dtype=np.float32)

    index_of = {name: index for index, name in enumerate(classes)} | {"": -1}
    return PreparedFaces(
        classes=classes,
        faces=faces,
        ids=np.array([row["id"] for row in rows]),
        split=np.array([row["split"] for row in rows]),
        label=np.array([index_of[row["label"]] for row in rows], dtype=np.int64),
        votes=numbers(*(f"votes_{name}" for name in classes)),
        pose=numbers(*POSE),
        pose_trusted=numbers("pose_trusted")[:, 0] > 0,
        rotation=numbers("rotation")[:, 0],
    )
