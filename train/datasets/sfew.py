"""SFEW 2.0 (Dhall et al. 2011, 2015): 958 training and 436 validation stills from films.

Layout: ``Train/<Class>/*.png`` and ``Val/<Class>/*.png`` with the classes Angry, Disgust, Fear,
Happy, Neutral, Sad and Surprise; the aligned faces come as ``Train_Aligned_Faces/<Class>/*.png``
and ``Val_Aligned_Faces/<Class>/*.png``, beside those folders or in them. The labels of the test
split were never handed out: the validation pictures are the test, as in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from realtime.faces import EXPRESSIONS
from train.data.pictures import Picture
from train.datasets.folders import list_class
from train.datasets.prepare import PrepareHeldOut
from train.errors import UserError

CLASSES = EXPRESSIONS[:7]
FOLDERS = {"train": "Train", "test": "Val"}
CLASS_FOLDERS = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")

Images = Literal["aligned", "full"]


def list_sfew(source: Path, images: Images) -> list[Picture]:
    """The labelled pictures of SFEW 2.0 in `source`; UserError names what is missing."""
    pictures = []
    for split, name in FOLDERS.items():
        folder = _aligned(source, name) if images == "aligned" else source / name
        if not folder.is_dir():
            raise UserError(f"{source} has no {name}/: unpack {name}.zip of SFEW 2.0 there.")
        for class_name in CLASS_FOLDERS:
            if not (folder / class_name).is_dir():
                raise UserError(f"{folder} has no {class_name}/: every class has a folder there.")
            pictures += list_class(source, folder / class_name, split)
    return pictures


def _aligned(source: Path, name: str) -> Path:
    faces = f"{name}_Aligned_Faces"
    for folder in (source / faces, source / name / faces):
        if folder.is_dir():
            return folder
    raise UserError(f"{source} has no {faces}/: unpack {faces}.zip there, or use --images full.")


@dataclass(frozen=True)
class PrepareSfew(PrepareHeldOut):
    """SFEW 2.0; its validation pictures become the test split, as in the paper."""

    output: Path = Path("data/sfew")
    """Folder to write the prepared faces to."""
    images: Images = "aligned"
    """The aligned faces, or the full stills."""

    def run(self) -> None:
        pictures = list_sfew(self.source, self.images)
        name = f"SFEW 2.0, {self.images} pictures"
        self.write(name, CLASSES, self.with_validation(pictures))
