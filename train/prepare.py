"""The commands of ``python -m train prepare``: one for each dataset, and one that joins some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from realtime.faces import EXPRESSIONS
from train.data import affectnet, ckplus, rafdb, sfew
from train.data.ferplus import prepare_ferplus
from train.data.folders import list_folders, list_people
from train.data.pictures import Picture, hold_out, write_pictures
from train.data.pose_labels import pose_labels
from train.data.unlabelled import join_prepared, list_unlabelled
from train.options import Count, Seed


@dataclass(frozen=True)
class PrepareFerplus:
    """FERPlus under the majority protocol: 25 045 training, 3 191 validation, 3 137 test faces."""

    source: Path
    """Folder with FER2013Train, FER2013Valid and FER2013Test (folders or zips) and pose.csv."""
    output: Path = Path("data/ferplus")
    """Folder to write the prepared faces to."""

    def run(self) -> None:
        _tell(self.output, prepare_ferplus(self.source, self.output))


@dataclass(frozen=True)
class Prepare:
    """What every reader of single pictures shares."""

    source: Path
    """Folder with the dataset in its official layout."""
    output: Path
    """Folder to write the prepared faces to."""
    pose: Path | None = None
    """CSV with the columns image, yaw, pitch, roll in degrees; image is the id in labels.csv."""
    label_pose: Path | None = None
    """Run folder or exported ONNX file whose pose branch labels the pose."""
    find_faces: bool = True
    """Find landmarks with MTCNN where the dataset gives none; without, the average crop."""
    grey: bool = False
    """Store grey faces instead of RGB, a third of the size."""

    def write(self, dataset: str, classes: tuple[str, ...], pictures: Sequence[Picture]) -> None:
        pose = pose_labels(self.pose, self.label_pose)
        counts = write_pictures(
            dataset, classes, pictures, self.output, pose, self.find_faces, self.grey
        )
        _tell(self.output, counts)


@dataclass(frozen=True)
class PrepareHeldOut(Prepare):
    """What the readers share whose dataset has no validation split of its own."""

    validation: float = 0.1
    """Share of each class of the training pictures that is held out for validation."""
    seed: Seed = 0
    """Which pictures are held out."""

    def with_validation(self, pictures: Sequence[Picture]) -> list[Picture]:
        return hold_out(pictures, self.validation, self.seed, "validation")


@dataclass(frozen=True)
class PrepareRafdb(PrepareHeldOut):
    """RAF-DB, seven basic expressions; validation is held out from the training pictures."""

    output: Path = Path("data/rafdb")
    """Folder to write the prepared faces to."""
    images: rafdb.Images = "aligned"
    """The 100×100 faces, or the original pictures with their landmarks."""

    def run(self) -> None:
        pictures = rafdb.list_rafdb(self.source, self.images)
        name = f"RAF-DB basic, {self.images} pictures"
        self.write(name, rafdb.CLASSES, self.with_validation(pictures))


@dataclass(frozen=True)
class PrepareAffectnet(PrepareHeldOut):
    """AffectNet, either layout; its validation pictures become the test split, as in the paper."""

    output: Path = Path("data/affectnet")
    """Folder to write the prepared faces to."""
    classes: Literal["7", "8"] = "7"
    """Without or with contempt."""

    def run(self) -> None:
        classes = affectnet.classes_of(self.classes)
        pictures = affectnet.list_affectnet(self.source, classes)
        self.write(f"AffectNet-{self.classes}", classes, self.with_validation(pictures))


@dataclass(frozen=True)
class PrepareSfew(PrepareHeldOut):
    """SFEW 2.0; its validation pictures become the test split, as in the paper."""

    output: Path = Path("data/sfew")
    """Folder to write the prepared faces to."""
    images: sfew.Images = "aligned"
    """The aligned faces, or the full stills."""

    def run(self) -> None:
        pictures = sfew.list_sfew(self.source, self.images)
        name = f"SFEW 2.0, {self.images} pictures"
        self.write(name, sfew.CLASSES, self.with_validation(pictures))


@dataclass(frozen=True)
class PrepareCkplus(Prepare):
    """CK+, one of ten subject-independent folds as test, the next one as validation."""

    output: Path = Path("data/ckplus")
    """Folder to write the prepared faces to."""
    grey: bool = True
    """Store grey faces instead of RGB; most sequences are grey."""
    fold: int = 0
    """The fold to test on, 0 to 9."""
    classes: ckplus.Classes = "7"
    """Six expressions, seven with contempt, each with or without neutral."""

    def run(self) -> None:
        classes = ckplus.classes_of(self.classes)
        pictures = ckplus.list_ckplus(self.source, classes, self.fold)
        self.write(f"CK+ {self.classes}, fold {self.fold}", classes, pictures)


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


@dataclass(frozen=True)
class PreparePeople(PrepareHeldOut):
    """A folder of pictures for each person, whatever their expressions: for `fit tdgan --faces`."""

    output: Path = Path("data/people")
    """Folder to write the prepared faces to."""
    people: Count | None = None
    """The first so many, by the names of their folders; TDGAN's paper takes 20. All by default."""

    def run(self) -> None:
        pictures, names = list_people(self.source, self.people)
        self.write(f"people {self.source.name}", names, self.with_validation(pictures))


@dataclass(frozen=True)
class PrepareUnlabelled(Prepare):
    """Any pictures of faces, without expressions: for `fit pretrain` and `fit distill`."""

    output: Path = Path("data/unlabelled")
    """Folder to write the prepared faces to."""

    def run(self) -> None:
        self.write(f"folder {self.source.name}", EXPRESSIONS, list_unlabelled(self.source))


@dataclass(frozen=True)
class PrepareJoin:
    """The first prepared folder, and the faces of the others without their labels."""

    sources: tuple[Path, ...]
    """Prepared folders; the first gives the splits and the classes."""
    output: Path
    """Folder to write the prepared faces to."""

    def run(self) -> None:
        _tell(self.output, join_prepared(self.sources, self.output))


def _tell(output: Path, counts: dict[str, int]) -> None:
    print(f"{output}: " + ", ".join(f"{count} {split}" for split, count in counts.items()))


PREPARE = {
    "ferplus": PrepareFerplus,
    "rafdb": PrepareRafdb,
    "affectnet": PrepareAffectnet,
    "sfew": PrepareSfew,
    "ckplus": PrepareCkplus,
    "folders": PrepareFolders,
    "people": PreparePeople,
    "unlabelled": PrepareUnlabelled,
    "join": PrepareJoin,
}
