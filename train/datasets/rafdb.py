"""RAF-DB, basic expressions (Li, Deng, Du 2017): 12 271 training and 3 068 test pictures.

Layout: ``EmoLabel/list_patition_label.txt`` with lines such as ``train_00001.jpg 5``;
``Image/aligned/train_00001_aligned.jpg`` (100×100); and, for the original pictures,
``Image/original/train_00001.jpg`` with ``Annotation/manual/train_00001_manu_attri.txt``, whose
first five lines are x and y of the five landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from realtime.faces import EXPRESSIONS
from train.data.pictures import Picture
from train.datasets.prepare import PrepareHeldOut
from train.errors import UserError
from train.files import read_text

CLASSES = EXPRESSIONS[:7]
CODES = {
    "1": "surprise",
    "2": "fear",
    "3": "disgust",
    "4": "happiness",
    "5": "sadness",
    "6": "anger",
    "7": "neutral",
}
LIST = Path("EmoLabel/list_patition_label.txt")

Images = Literal["aligned", "original"]


def list_rafdb(source: Path, images: Images) -> list[Picture]:
    """The pictures of RAF-DB in `source`, in the order of its list.

    Aligned pictures have no landmarks, the original ones those set by hand. UserError names what is
    missing.
    """
    labels, folder = source / LIST, source / "Image" / images
    if not labels.is_file():
        raise UserError(f"{source} has no {LIST}: it is not RAF-DB basic as it is handed out.")
    if not folder.is_dir():
        raise UserError(f"{source} has no Image/{images}/: unpack {images}.zip there.")
    lines = read_text(labels).splitlines()
    return [_picture(source, folder, images, line) for line in lines if line.strip()]


def _picture(source: Path, folder: Path, images: Images, line: str) -> Picture:
    name, _, code = line.strip().partition(" ")
    split = name.partition("_")[0]
    if code not in CODES or split not in ("train", "test"):
        raise UserError(f"{LIST}: expected a line like 'train_00001.jpg 5', found {line!r}.")
    stem = name.removesuffix(".jpg")
    path = folder / (f"{stem}_aligned.jpg" if images == "aligned" else name)
    if not path.is_file():
        raise UserError(f"{folder} has no {path.name}, which {LIST.name} lists.")
    landmarks = None if images == "aligned" else _landmarks(source, stem)
    return Picture(name, split, CODES[code], path, landmarks)


def _landmarks(source: Path, stem: str) -> np.ndarray:
    path = source / "Annotation" / "manual" / f"{stem}_manu_attri.txt"
    if not path.is_file():
        raise UserError(f"{path} is missing: it gives the landmarks of the original picture.")
    lines = read_text(path).splitlines()[:5]
    try:
        return np.array([line.split() for line in lines], dtype=np.float64).reshape(5, 2)
    except ValueError:
        raise UserError(f"{path}: the first five lines should be x and y of a landmark.") from None


@dataclass(frozen=True)
class PrepareRafdb(PrepareHeldOut):
    """RAF-DB, seven basic expressions; validation is held out from the training pictures."""

    output: Path = Path("data/rafdb")
    """Folder to write the prepared faces to."""
    images: Images = "aligned"
    """The 100×100 faces, or the original pictures with their landmarks."""

    def run(self) -> None:
        pictures = list_rafdb(self.source, self.images)
        name = f"RAF-DB basic, {self.images} pictures"
        self.write(name, CLASSES, self.with_validation(pictures))
