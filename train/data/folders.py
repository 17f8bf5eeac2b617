"""Any dataset in a folder per class: ``<split>/<class>/picture`` or ``<class>/picture``; or in one
per person."""

from __future__ import annotations

from pathlib import Path

from realtime.faces import EXPRESSIONS
from train.data.pictures import Picture
from train.errors import DataError

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
SUFFIXES = {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".tif", ".tiff", ".webp"}

_CLASS_OF = {name: name for name in EXPRESSIONS} | {
    other: name for name, others in SYNONYMS.items() for other in others
}


def list_folders(source: Path) -> tuple[list[Picture], tuple[str, ...]]:
    """The pictures below `source` and the classes there are, in the order of EXPRESSIONS.

    Without folders for splits all pictures are of the split train. Folder names may have any
    case. DataError for a class that is not known, and where there are no pictures.
    """
    if not source.is_dir():
        raise DataError(f"{source} is not a folder.")
    found = {folder: SPLITS.get(folder.name.lower()) for folder in _folders(source)}
    splits = {folder: split for folder, split in found.items() if split}
    others = [folder.name for folder in found if folder not in splits]
    if splits and others:
        raise DataError(f"{source} mixes folders of splits with others: {', '.join(others)}.")
    pictures = [
        picture
        for folder, split in (splits or {source: "train"}).items()
        for class_folder in _folders(folder)
        for picture in list_class(source, class_folder, split)
    ]
    if not pictures:
        raise DataError(f"{source} has no pictures in <split>/<class>/ or <class>/ folders.")
    present = {picture.label for picture in pictures}
    return pictures, tuple(name for name in EXPRESSIONS if name in present)


def list_people(source: Path, people: int | None = None) -> tuple[list[Picture], tuple[str, ...]]:
    """The pictures in the folders of `source`, each named after a person, and these names.

    people: the first so many that have pictures, by their names; all by default. All pictures are
    of the split train. DataError where there are not two people.
    """
    if not source.is_dir():
        raise DataError(f"{source} is not a folder.")
    of_person = {
        folder.name: _labelled(source, folder, "train", folder.name) for folder in _folders(source)
    }
    names = tuple(name for name, pictures in of_person.items() if pictures)[:people]
    if len(names) < 2:
        raise DataError(f"{source} should have a folder of pictures for each of several people.")
    return [picture for name in names for picture in of_person[name]], names


def list_class(source: Path, folder: Path, split: str) -> list[Picture]:
    """The pictures in a folder that is named after their class; their ids are paths below
    `source`."""
    return _labelled(source, folder, split, class_of(folder))


def class_of(folder: Path) -> str:
    """The expression that a folder is named after; DataError lists the known names."""
    label = _CLASS_OF.get(folder.name.lower())
    if label is None:
        known = ", ".join(f"{name} ({', '.join(SYNONYMS[name])})" for name in EXPRESSIONS)
        raise DataError(f"{folder} is named after no expression that is known: {known}.")
    return label


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._")


def _labelled(source: Path, folder: Path, split: str, label: str) -> list[Picture]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    return [Picture(path.relative_to(source).as_posix(), split, label, path) for path in paths]
