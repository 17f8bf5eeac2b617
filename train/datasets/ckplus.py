"""CK+ (Lucey et al. 2010): sequences of 123 subjects from neutral to the peak of an expression.

Layout: ``cohn-kanade-images/S005/001/S005_001_00000001.png``, 68 landmarks for each in
``Landmarks/S005/001/S005_001_00000001_landmarks.txt``, and for 327 sequences the expression in
``Emotion/S005/001/S005_001_00000011_emotion.txt``.

As in the paper, section 4.1: the last three frames of a labelled sequence are of its expression,
the first is neutral, and ten folds of subjects take turns as test. Fold k holds every tenth subject
from the k-th on, sorted by their ids. The fold after the tested one serves as validation, so that
nothing is chosen on the test; the paper does not say what it chose on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from realtime.faces import EXPRESSIONS
from train.data.pictures import Picture, five_of_68
from train.datasets.prepare import Prepare
from train.errors import UserError
from train.files import read_text

CODES = {
    1: "anger",
    2: "contempt",
    3: "disgust",
    4: "fear",
    5: "happiness",
    6: "sadness",
    7: "surprise",
}
FOLDS = 10
PEAK_FRAMES = 3
IMAGES, EMOTIONS, LANDMARKS = "cohn-kanade-images", "Emotion", "Landmarks"

Classes = Literal["6", "7", "6+neutral", "7+neutral"]


def classes_of(choice: Classes) -> tuple[str, ...]:
    """The six expressions, seven with contempt, each with or without neutral."""
    without: tuple[str, ...] = () if "+" in choice else ("neutral",)
    if choice.startswith("6"):
        without += ("contempt",)
    return tuple(name for name in EXPRESSIONS if name not in without)


def list_ckplus(source: Path, classes: tuple[str, ...], fold: int) -> list[Picture]:
    """The frames of the labelled sequences in `source`; UserError names what is missing.

    fold: 0 to 9, the subjects of the test split. Where neutral is none of the classes, the first
    frames of the training subjects go to the split unlabelled: they still show identities.
    """
    for name in (IMAGES, EMOTIONS, LANDMARKS):
        if not (source / name).is_dir():
            raise UserError(f"{source} has no {name}/: it is not CK+ as it is handed out.")
    sequences = _labelled_sequences(source)
    split_of = subject_splits([subject for subject, _, _ in sequences], fold)
    pictures = []
    for subject, sequence, label in sequences:
        if label in classes:
            pictures += _frames(source, subject, sequence, label, split_of[subject], classes)
    return pictures


def subject_splits(subjects: list[str], fold: int) -> dict[str, str]:
    """train, validation or test for each subject."""
    if not 0 <= fold < FOLDS:
        raise UserError(f"There is no fold {fold}: choose 0 to {FOLDS - 1}.")
    splits = {fold: "test", (fold + 1) % FOLDS: "validation"}
    ordered = sorted(set(subjects))
    return {subject: splits.get(place % FOLDS, "train") for place, subject in enumerate(ordered)}


def _labelled_sequences(source: Path) -> list[tuple[str, str, str]]:
    """Subject, sequence and expression of every sequence that has one."""
    found = []
    for path in sorted((source / EMOTIONS).glob("*/*/*_emotion.txt")):
        try:
            code = int(float(read_text(path)))
        except (ValueError, OverflowError):
            raise UserError(f"{path} should hold one number, the expression.") from None
        if code not in CODES:
            raise UserError(f"{path}: there is no expression {code}; they are 1 to 7.")
        found.append((path.parent.parent.name, path.parent.name, CODES[code]))
    if not found:
        raise UserError(f"{source / EMOTIONS} has no S…/…/*_emotion.txt: no sequence is labelled.")
    return found


def _frames(source, subject, sequence, label, split, classes) -> list[Picture]:
    folder = source / IMAGES / subject / sequence
    frames = sorted(folder.glob("*.png"))
    if len(frames) <= PEAK_FRAMES:
        raise UserError(f"{folder} has {len(frames)} frames; a labelled sequence has at least 4.")
    pictures = [_picture(source, path, split, label) for path in frames[-PEAK_FRAMES:]]
    if "neutral" in classes:
        return [_picture(source, frames[0], split, "neutral"), *pictures]
    if split == "train":
        return [_picture(source, frames[0], "unlabelled", ""), *pictures]
    return pictures


def _picture(source: Path, path: Path, split: str, label: str) -> Picture:
    place = path.relative_to(source / IMAGES)
    file = source / LANDMARKS / place.parent / f"{path.stem}_landmarks.txt"
    if not file.is_file():
        raise UserError(f"{file} is missing: it gives the landmarks of {path.name}.")
    try:
        points = np.array(read_text(file).split(), dtype=np.float64).reshape(68, 2)
    except ValueError:
        raise UserError(f"{file} should hold 68 lines of x and y.") from None
    return Picture(place.as_posix(), split, label, path, five_of_68(points))


@dataclass(frozen=True)
class PrepareCkplus(Prepare):
    """CK+, one of ten subject-independent folds as test, the next one as validation."""

    output: Path = Path("data/ckplus")
    """Folder to write the prepared faces to."""
    grey: bool = True
    """Store grey faces instead of RGB; most sequences are grey."""
    fold: int = 0
    """The fold to test on, 0 to 9."""
    classes: Classes = "7"
    """Six expressions, seven with contempt, each with or without neutral."""

    def run(self) -> None:
        classes = classes_of(self.classes)
        pictures = list_ckplus(self.source, classes, self.fold)
        self.write(f"CK+ {self.classes}, fold {self.fold}", classes, pictures)
