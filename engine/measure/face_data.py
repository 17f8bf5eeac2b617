"""Aligned faces from disk, for calibrating and checking models."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engine.contract import EngineError

FACE_SIZE = 112
"""Pixels: height and width of an aligned face."""

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}


@dataclass(frozen=True)
class FaceData:
    """Aligned faces, uint8 (n, 112, 112, 3), RGB; and the names of their expressions if known."""

    faces: np.ndarray
    labels: list[str] | None = None


def read_faces(folder: Path, split: str, count: int | None = None) -> FaceData:
    """At most `count` faces from `folder`, the same ones every time; None takes all.

    folder: prepared data (faces.npy and labels.csv, as `python -m train prepare` writes them), of
    which the rows of `split` are taken ("train", "validation" or "test"); or aligned faces as
    pictures of 112×112 pixels, which are taken whatever the split.
    EngineError where there are none.
    """
    try:
        there = folder.is_dir()
    except OSError as error:  # the name is too long, or a folder above may not be looked into
        raise EngineError(f"{folder} cannot be read: {error.strerror}.") from None
    if not there:
        raise EngineError(f"There is no folder {folder}: give one with aligned faces.")
    if (folder / "faces.npy").is_file():
        return _prepared(folder, split, count)
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not paths:
        raise EngineError(
            f"{folder} holds neither prepared data (faces.npy, labels.csv) nor pictures: give "
            "another folder."
        )
    chosen = _some(len(paths), count)
    return FaceData(np.stack([_picture(paths[index]) for index in chosen]))


def _prepared(folder: Path, split: str, count: int | None) -> FaceData:
    try:
        images = np.load(folder / "faces.npy", mmap_mode="r")
        with open(folder / "labels.csv", newline="", encoding="utf-8") as file:
            rows = [(row["split"], row["label"]) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError) as error:
        raise EngineError(f"{folder} cannot be read ({error}): prepare it again.") from error
    if len(rows) != len(images) or images.shape[1:3] != (FACE_SIZE, FACE_SIZE):
        raise EngineError(f"{folder}: labels.csv and faces.npy do not fit: prepare it again.")
    of_split = [index for index, (where, _) in enumerate(rows) if where == split]
    if not of_split:
        known = ", ".join(sorted({where for where, _ in rows}))
        raise EngineError(f"{folder} has no faces in the split {split}; it has {known}.")
    chosen = [of_split[index] for index in _some(len(of_split), count)]
    faces = images[chosen]
    if faces.shape[3] == 1:
        faces = np.repeat(faces, 3, axis=3)
    return FaceData(np.ascontiguousarray(faces), [rows[index][1] for index in chosen])


def _some(available: int, count: int | None) -> list[int]:
    """Indices of `count` out of `available`, in order, drawn with a fixed seed."""
    if count is None or count >= available:
        return list(range(available))
    return sorted(np.random.default_rng(0).choice(available, count, replace=False).tolist())


def _picture(path: Path) -> np.ndarray:
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise EngineError(f"{path} is not a picture: remove it, or give another folder.")
    if image.shape[:2] != (FACE_SIZE, FACE_SIZE):
        height, width = image.shape[:2]
        raise EngineError(f"{path} has {width}×{height} pixels: aligned faces have 112×112.")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
