"""Prepared faces in shuffled batches of tensors."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from train.data.prepared import DataError, PreparedFaces
from train.networks.face_model import yaw_bin
from train.pose import turned


@dataclass
class Batch:
    """faces: uint8 (n, 112, 112, channels). label: int64 (n,), -1 for none.
    target: float32 (n, classes), the votes as a distribution (all 0 where nobody voted).
    pose: float32 (n, 3), degrees as seen in the aligned face, 0 where unknown.
    pose_known: bool (n,). yaw_bin: int64 (n,), the class of |yaw| in the original picture.
    extra: float32 (n, d), what Recipe.prepare computed of the faces, for the recipes that do."""

    faces: Tensor
    label: Tensor
    target: Tensor
    pose: Tensor
    pose_known: Tensor
    yaw_bin: Tensor
    extra: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        values = (getattr(self, field.name) for field in fields(self))
        return Batch(*(None if value is None else value.to(device) for value in values))


class FaceDataset(Dataset):
    """The chosen rows of prepared faces; whole batches are fetched at once.

    extra: float32 (n, d), what is to go with the faces, of all faces of `data`.
    """

    def __init__(self, data: PreparedFaces, rows: np.ndarray, extra: np.ndarray | None = None):
        self.faces, self.extra = data.faces, extra
        self.rows = rows
        votes = torch.from_numpy(data.votes[rows])
        pose = torch.from_numpy(data.pose[rows])
        self.label = torch.from_numpy(data.label[rows])
        self.target = votes / votes.sum(dim=1, keepdim=True).clamp(min=1)
        self.pose_known = torch.from_numpy(data.pose_trusted[rows]) & pose.isfinite().all(dim=1)
        self.yaw_bin = yaw_bin(pose[:, 0])
        in_crop = turned(pose, torch.from_numpy(data.rotation[rows]))
        self.pose = torch.where(self.pose_known[:, None], in_crop, torch.zeros_like(pose))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, indices: list[int]) -> Batch:
        # Ascending reads of the memory map; the order inside a batch does not matter.
        chosen = np.sort(np.asarray(indices))
        rows = self.rows[chosen]
        return Batch(
            faces=torch.from_numpy(self.faces[rows]),
            label=self.label[chosen],
            target=self.target[chosen],
            pose=self.pose[chosen],
            pose_known=self.pose_known[chosen],
            yaw_bin=self.yaw_bin[chosen],
            extra=None if self.extra is None else torch.from_numpy(self.extra[rows]),
        )


@dataclass(frozen=True)
class Shard:
    """Which part of every batch this process trains on: the `rank`-th of `count` equal ones.

    seed: of the order of the faces, where several processes have to agree on it.
    """

    rank: int = 0
    count: int = 1
    seed: int = 0

    def start_epoch(self, loader: DataLoader, epoch: int) -> None:
        """Give the epoch an order of its own; a single process draws one from torch anyway."""
        if self.count > 1:
            loader.sampler.set_epoch(epoch)


def training_loader(dataset: FaceDataset, batch_size: int, shard: Shard = Shard()) -> DataLoader:
    """Shuffled full batches (batch normalisation dislikes a last batch of one).

    batch_size: over all processes together; DataError where they cannot share it evenly.
    """
    whole = len(dataset) > batch_size
    if shard.count == 1:
        return DataLoader(dataset, batch_size, shuffle=True, drop_last=whole, collate_fn=_as_is)
    if batch_size % shard.count:
        raise DataError(f"--batch-size {batch_size} cannot be shared by {shard.count} devices.")
    sampler = DistributedSampler(
        dataset, shard.count, shard.rank, shuffle=True, seed=shard.seed, drop_last=True
    )
    return DataLoader(
        dataset, batch_size // shard.count, sampler=sampler, drop_last=whole, collate_fn=_as_is
    )


def evaluation_loader(dataset: FaceDataset, batch_size: int = 256) -> DataLoader:
    """Every face once, in order."""
    return DataLoader(dataset, batch_size, collate_fn=_as_is)


def _as_is(batch: Batch) -> Batch:
    return batch
