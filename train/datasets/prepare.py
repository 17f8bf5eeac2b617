"""What the commands of ``python -m train prepare`` share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from train.data.pictures import Picture, hold_out, write_pictures
from train.data.pose_labels import pose_labels
from train.options import Seed


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
        tell(self.output, counts)


@dataclass(frozen=True)
class PrepareHeldOut(Prepare):
    """What the readers share whose dataset has no validation split of its own."""

    validation: float = 0.1
    """Share of each class of the training pictures that is held out for validation."""
    seed: Seed = 0
    """Which pictures are held out."""

    def with_validation(self, pictures: Sequence[Picture]) -> list[Picture]:
        return hold_out(pictures, self.validation, self.seed, "validation")


def tell(output: Path, counts: dict[str, int]) -> None:
    """Print how many faces of each split were written."""
    print(f"{output}: " + ", ".join(f"{count} {split}" for split, count in counts.items()))
