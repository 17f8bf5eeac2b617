"""Any dataset in a folder per class: ``<split>/<class>/picture`` or ``<class>/picture``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from realtime.faces import EXPRESSIONS
from train.data.pictures import SUFFIXES, Picture, hold_out
from train.datasets.prepare import PrepareHeldOut
from train.errors import UserError

SYNONYMS = {
    "neutral": ("calm",),
    "happiness": ("happy", "joy", "smile"),
    "surprise": ("surprised",),
    "sadness": ("sad",),
    "anger": ("angry",),
    "disgust": ("disgusted",),
    "fear": ("fearful", "afraid", "scared"),
    "contempt": ("contemptuous",),
}
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}

_CLASS_OF = {name: name for name in EXPRESSIONS} | {
    other: name for name, others in SYNONYMS.items() for other in others
}


def list_folders(source: Path) -> tuple[list[Picture], tuple[str, ...]]:
    """The pictures below `source` and the classes there are, in the order of EXPRESSIONS.

    Without folders for splits all pictures are of the split train. Folder names may have any
    case. UserError for a class that is not known, and where there are no pictures.
    """
    if not source.is_dir():
        raise UserError(f"{source} is not a folder.")
    found = {folder: SPLITS.get(folder.name.lower()) for folder in subfolders(source)}
    splits = {folder: split for folder, split in found.items() if split}
    others = [folder.name for folder in found if folder not in splits]
    if splits and others:
        raise UserError(f"{source} mixes folders of splits with others: {', '.join(others)}.")
    pictures = [
        picture
        for folder, split in (splits or {source: "train"}).items()
        for class_folder in subfolders(folder)
        for picture in list_class(source, class_folder, split)
    ]
    if not pictures:
        raise UserError(f"{source} has no pictures in <split>/<class>/ or <class>/ folders.")
    present = {picture.label for picture in pictures}
    return pictures, tuple(name for name in EXPRESSIONS if name in present)


def list_class(source: Path, folder: Path, split: str) -> list[Picture]:
    """The pictures in a folder that is named after their class; their ids are paths below
    `source`."""
    return pictures_in(source, folder, split, class_of(folder))


def class_of(folder: Path) -> str:
    """The expression that a folder is named after; UserError lists the known names."""
    label = _CLASS_OF.get(folder.name.lower())
    if label is None:
        known = ", ".join(f"{name} ({', '.join(SYNONYMS[name])})" for name in EXPRESSIONS)
        raise UserError(f"{folder} is named after no expression that is known: {known}.")
    return label


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder but hidden ones, by name."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._")


def pictures_in(source: Path, folder: Path, split: str, label: str) -> list[Picture]:
    """The pictures in a folder, by name; their ids are paths below `source`."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    return [Picture(path.relative_to(source).as_posix(), split, label, path) for path in paths]


@dataclass(frozen=True)
class PrepareFolders(PrepareHeldOut):
    """A folder per class; splits that have no folder are held out from the training pictures."""

    output: Path = Path("data/folders")
    """Folder to write the prepared faces to."""
    test: float = 0.1
    """Share of each class that is held out for test, where there is no folder of that name."""

    def run(self) -> None:
        pictures, classes = list_folders(self.source)
        for split, share in (("test", self.test), ("validation", self.validation)):
            if all(picture.split != split for picture in pictures):
                pictures = hold_out(pictures, share, self.seed, split)
        self.write(f"folder {self.source.name}", classes, pictures)
