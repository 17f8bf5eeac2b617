"""AffectNet (Mollahosseini, Hasani, Mahoor 2017), manually annotated, 7 or 8 expressions.

Two layouts are handed out. The older: ``training.csv`` and ``validation.csv`` (in the folder or in
``Manually_Annotated_file_lists/``, the second also without its line of column names) and
``Manually_Annotated_Images/``. The newer: ``train_set/images/N.jpg`` (224×224 around the face) with
``train_set/annotations/N_exp.npy`` and ``N_lnd.npy``, and the same in ``val_set/``. Both give 68
landmarks. The test split was never handed out: the validation pictures are the test, as in the
papers.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from realtime.faces import EXPRESSIONS
from train.data.pictures import Picture, five_of_68
from train.datasets.prepare import PrepareHeldOut
from train.errors import UserError
from train.files import read_array, readable_csv

CODES = {
    0: "neutral",
    1: "happiness",
    2: "sadness",
    3: "surprise",
    4: "fear",
    5: "disgust",
    6: "anger",
    7: "contempt",
}
"""Expressions by their code; the others are none, uncertain and no face, and are left out."""
COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
LISTS = {"train": "training.csv", "test": "validation.csv"}
SETS = {"train": "train_set", "test": "val_set"}
LISTS_FOLDER, IMAGES_FOLDER = "Manually_Annotated_file_lists", "Manually_Annotated_Images"


def classes_of(count: Literal["7", "8"]) -> tuple[str, ...]:
    """The first seven of EXPRESSIONS, or all with contempt."""
    return EXPRESSIONS[: int(count)]


def list_affectnet(source: Path, classes: tuple[str, ...]) -> list[Picture]:
    """The pictures of `classes` in `source`, whichever layout it has; UserError names what is
    missing."""
    if (source / "train_set").is_dir() or (source / "val_set").is_dir():
        read = _numbered_set
    elif _list_file(source, "train").is_file() or _list_file(source, "test").is_file():
        read = _listed_set
    else:
        raise UserError(
            f"{source} has neither training.csv nor train_set/: it is not AffectNet as it is "
            "handed out."
        )
    return [p for split in LISTS for p in read(source, split) if p.label in classes]


def _list_file(source: Path, split: str) -> Path:
    inside = source / LISTS_FOLDER / LISTS[split]
    return inside if inside.is_file() else source / LISTS[split]


def _listed_set(source: Path, split: str) -> Iterator[Picture]:
    path, folder = _list_file(source, split), source / IMAGES_FOLDER
    if not path.is_file():
        raise UserError(f"{source} has no {LISTS[split]}, not in {LISTS_FOLDER}/ either.")
    if not folder.is_dir():
        raise UserError(f"{source} has no {IMAGES_FOLDER}/: unpack the pictures there.")
    with readable_csv(path, "unpack it again"), open(path, newline="", encoding="utf-8") as file:
        for number, cells in enumerate(csv.reader(file), start=1):
            if number == 1 and cells and cells[0] == COLUMNS[0]:
                continue
            if len(cells) != len(COLUMNS):
                names = ", ".join(COLUMNS)
                raise UserError(f"{path}, line {number}: expected the columns {names}.")
            yield from _listed_picture(
                folder, split, path, number, dict(zip(COLUMNS, cells, strict=True))
            )


def _listed_picture(folder, split, listing, number, row) -> Iterator[Picture]:
    try:
        label = CODES.get(int(row["expression"]))
        if label is None:
            return
        x, y, width, height = (float(row[name]) for name in COLUMNS[1:5])
        points = _points(np.array(row["facial_landmarks"].split(";"), dtype=np.float64))
    except ValueError as error:
        raise UserError(f"{listing}, line {number}: {error}.") from None
    name = row["subDirectory_filePath"]
    path = folder / name
    if not path.is_file():
        raise UserError(f"{folder} has no {name}, which {listing.name} lists.")
    yield Picture(name, split, label, path, points, (x, y, x + width, y + height))


def _numbered_set(source: Path, split: str) -> Iterator[Picture]:
    images, annotations = (source / SETS[split] / name for name in ("images", "annotations"))
    for folder in (images, annotations):
        if not folder.is_dir():
            raise UserError(f"{source} has no {SETS[split]}/{folder.name}/.")
    paths = sorted(images.glob("*.jpg"), key=lambda path: (len(path.stem), path.stem))
    if not paths:
        raise UserError(f"{images} has no .jpg pictures.")
    for path in paths:
        label = CODES.get(_code(annotations / f"{path.stem}_exp.npy"))
        if label is None:
            continue
        file = annotations / f"{path.stem}_lnd.npy"
        try:
            points = _points(_array(file)) if file.is_file() else None
        except ValueError as error:
            raise UserError(f"{file}: {error}.") from None
        yield Picture(path.relative_to(source).as_posix(), split, label, path, points)


def _array(path: Path) -> np.ndarray:
    """The numbers in a .npy file, which AffectNet stores as numbers or as text."""
    if not path.is_file():
        raise UserError(f"{path.parent} has no {path.name}.")
    try:
        return read_array(path, "unpack it again").astype(np.float64)
    except ValueError:
        raise UserError(f"{path} does not hold numbers.") from None


def _code(path: Path) -> int:
    numbers = _array(path).reshape(-1)
    if not len(numbers) or not np.isfinite(numbers[0]):
        raise UserError(f"{path} should hold one number, the expression.")
    return int(numbers[0])


def _points(numbers: np.ndarray) -> np.ndarray:
    if numbers.size != 136:
        raise ValueError(f"expected 68 landmarks, found {numbers.size / 2:g}")
    return five_of_68(numbers.reshape(68, 2))


@dataclass(frozen=True)
class PrepareAffectnet(PrepareHeldOut):
    """AffectNet, either layout; its validation pictures become the test split, as in the paper."""

    output: Path = Path("data/affectnet")
    """Folder to write the prepared faces to."""
    classes: Literal["7", "8"] = "7"
    """Without or with contempt."""

    def run(self) -> None:
        classes = classes_of(self.classes)
        pictures = list_affectnet(self.source, classes)
        self.write(f"AffectNet-{self.classes}", classes, self.with_validation(pictures))
