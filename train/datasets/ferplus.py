"""FERPlus (Barsoum et al. 2016): FER2013's 48×48 grey faces with the votes of ten people.

Layout, as the public FERPlus script makes it: ``FER2013Train``, ``FER2013Valid`` and
``FER2013Test``, each a folder or a zip, with the pictures and a ``label.csv`` (picture, box, ten
vote columns). Beside them ``pose.csv``: yaw, pitch, roll and five landmarks for each picture.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realtime.faces import EXPRESSIONS
from train.data.pictures import aligned_face, decode_picture
from train.data.prepared import LabelledFace, write_prepared
from train.datasets.prepare import tell
from train.errors import UserError
from train.files import read_csv, readable_csv
from train.progress import progress

FOLDERS = {"train": "FER2013Train", "validation": "FER2013Valid", "test": "FER2013Test"}
VOTES = (*EXPRESSIONS, "unknown", "not a face")
LANDMARK_COLUMNS = [
    f"{axis}_{point}" for point in ("eye_l", "eye_r", "nose", "mouth_l", "mouth_r") for axis in "xy"
]

TRUST_COLUMNS = ("score", "flip_error")
BAD_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What zipfile raises for an archive that is broken, or packed in a way that it does not know."""
MAKE = "make it again with the FERPlus script"


@dataclass(frozen=True)
class PoseLabel:
    """Head pose (degrees) and landmarks (5, 2) of a picture, and whether to believe them."""

    angles: tuple[float, float, float]
    landmarks: np.ndarray
    trusted: bool


def majority_label(votes: np.ndarray) -> str:
    """The class of a picture under the FERPlus *majority* protocol, or "" where it has none.

    votes: ten counts in the order of :data:`VOTES`. Single votes are dropped as outliers; the top
    class must hold more than half of what is left and be one of the eight expressions.
    """
    kept = np.where(votes > 1, votes, 0)
    top = int(np.argmax(kept))
    wins = 2 * kept[top] > kept.sum() and top < len(EXPRESSIONS)
    return EXPRESSIONS[top] if wins else ""


def prepare_ferplus(source: Path, output: Path, pose: Path | None = None) -> dict[str, int]:
    """Read FERPlus from `source`, align it and write the prepared format to `output`.

    `pose` defaults to ``source/pose.csv``. A picture whose landmarks cannot be trusted gets the
    average crop. Training pictures without a majority go to the split "unlabelled" with their
    votes; those of the other splits are left out. Returns the number of faces in each split;
    UserError where a piece of the layout is missing.
    """
    poses = _read_poses(pose or source / "pose.csv")
    trusted = [label.landmarks for label in poses.values() if label.trusted]
    if not trusted:
        raise UserError(f"{pose or source / 'pose.csv'} has no trustworthy landmarks at all.")
    average = np.mean(trusted, axis=0)
    entries = [
        (split, name, votes)
        for split in FOLDERS
        for name, votes in _read_votes(source, split)
        if majority_label(votes) or split == "train"
    ]
    rows = _aligned_rows(source, entries, poses, average)
    name, count = "FERPlus, majority protocol", len(entries)
    return write_prepared(output, name, EXPRESSIONS, "pose.csv", rows, count, channels=1)


def _aligned_rows(source, entries, poses, average):
    readers = {split: _picture_reader(source, split) for split in FOLDERS}
    for split, name, votes in progress(entries, desc="Aligning FERPlus", unit="face"):
        where = f"{FOLDERS[split]}/{name} in {source}"
        picture = decode_picture(readers[split](name), grey=True, name=where)
        pose = poses.get((FOLDERS[split], name))
        if pose is None:
            raise UserError(f"pose.csv has no row for {FOLDERS[split]}/{name}.")
        face, rotation = aligned_face(picture, pose.landmarks if pose.trusted else average)
        label = majority_label(votes)
        row = LabelledFace(
            id=f"{FOLDERS[split]}/{name}",
            split=split if label else "unlabelled",
            label=label,
            votes=tuple(int(count) for count in votes[: len(EXPRESSIONS)]),
            pose=pose.angles,
            pose_trusted=pose.trusted,
            rotation=rotation,
            landmarks=pose.landmarks,
        )
        yield row, face


def _read_votes(source: Path, split: str):
    """Picture names and their ten votes, in the order of label.csv."""
    path = Path(FOLDERS[split], "label.csv")
    with readable_csv(path, MAKE):
        text = _picture_reader(source, split)("label.csv").decode()
        rows = list(csv.reader(io.StringIO(text)))
    for row in rows:
        if len(row) != 2 + len(VOTES):
            raise UserError(
                f"{FOLDERS[split]}/label.csv: expected picture, box and ten votes, found {row}."
            )
        try:
            yield row[0], np.array(row[2:], dtype=np.int64)
        except ValueError as error:
            raise UserError(f"{path}, {row[0]}: {error}: {MAKE}.") from None


def _picture_reader(source: Path, split: str):
    """A function from a file name of the split to its bytes, from a folder or a zip."""
    folder, archive = source / FOLDERS[split], source / f"{FOLDERS[split]}.zip"
    if folder.is_dir():

        def read(name: str) -> bytes:
            try:
                return (folder / name).read_bytes()
            except FileNotFoundError:
                raise UserError(f"{folder} has no {name}.") from None

    elif archive.is_file():
        pictures = _opened(archive)

        def read(name: str) -> bytes:
            try:
                return pictures.read(f"{FOLDERS[split]}/{name}")
            except KeyError:
                raise UserError(f"{archive} has no {FOLDERS[split]}/{name}.") from None
            except BAD_ZIP as error:
                raise UserError(f"{archive}, {name}: {error}: {MAKE}.") from None

    else:
        raise UserError(
            f"{source} has neither {folder.name}/ nor {archive.name}: make them with the "
            "FERPlus script from fer2013.csv."
        )
    return read


def _opened(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except BAD_ZIP as error:
        raise UserError(f"{archive} is broken, {error}: {MAKE}.") from None


def _read_poses(path: Path) -> dict[tuple[str, str], PoseLabel]:
    """Pose labels by (folder, picture); believed where score > 0.5 and flip error < 10°."""
    if not path.is_file():
        raise UserError(f"{path} is missing: it gives pose and landmarks for each picture.")
    columns = ("split", "image", "yaw", "pitch", "roll", *TRUST_COLUMNS, *LANDMARK_COLUMNS)
    rows = read_csv(path, columns, "make it again")
    try:
        return {(row["split"], row["image"]): _pose_label(row) for row in rows}
    except ValueError as error:
        raise UserError(f"{path} is broken: {error}: make it again.") from None


def _pose_label(row: dict[str, str]) -> PoseLabel:
    points = np.array([row[column] for column in LANDMARK_COLUMNS], dtype=np.float32)
    return PoseLabel(
        angles=(float(row["yaw"]), float(row["pitch"]), float(row["roll"])),
        landmarks=points.reshape(5, 2),
        trusted=float(row["score"]) > 0.5 and float(row["flip_error"]) < 10,
    )


@dataclass(frozen=True)
class PrepareFerplus:
    """FERPlus under the majority protocol: 25 045 training, 3 191 validation, 3 137 test faces."""

    source: Path
    """Folder with FER2013Train, FER2013Valid and FER2013Test (folders or zips) and pose.csv."""
    output: Path = Path("data/ferplus")
    """Folder to write the prepared faces to."""

    def run(self) -> None:
        tell(self.output, prepare_ferplus(self.source, self.output))
