"""Prepared faces in shuffled batches of tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler

from train.data.prepared import PreparedFaces
from train.errors import UserError
from train.pose import turned, yaw_bin

Arrays = Mapping[str, np.ndarray]
"""Arrays by name, of which each has a row a face."""


@dataclass
class Batch:
    """faces: uint8 (n, 112, 112, channels). label: int64 (n,), -1 for none.
    target: float32 (n, classes), the votes as a distribution (all 0 where nobody voted).
    pose: float32 (n, 3), degrees as seen in the aligned face, 0 where unknown.
    pose_known: bool (n,). yaw_bin: int64 (n,), the class of |yaw| in the original picture.
    extra: float32 (n, …) by name, what Recipe.prepare computed of the faces; empty for the recipes
    that compute nothing."""

    faces: Tensor
    label: Tensor
    target: Tensor
    pose: Tensor
    pose_known: Tensor
    yaw_bin: Tensor
    extra: dict[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device) -> Batch:
        tensors = {each.name: getattr(self, each.name) for each in fields(self)}
        extra = {name: each.to(device) for name, each in tensors.pop("extra").items()}
        return Batch(**{name: each.to(device) for name, each in tensors.items()}, extra=extra)


class FaceDataset(Dataset):
    """The chosen rows of prepared faces; whole batches are fetched at once.

    extra: float32 (n, …) by name, what is to go with the faces, of all faces of `data`.
    """

    def __init__(self, data: PreparedFaces, rows: np.ndarray, extra: Arrays | None = None):
        self.faces, self.extra = data.faces, extra or {}
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

    def __getitems__(self, indices: Sequence[int]) -> Batch:
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
            extra={name: torch.from_numpy(each[rows]) for name, each in self.extra.items()},
        )


@dataclass(frozen=True)
class Shard:
    """Which part of every batch this process trains on: the `rank`-th of `count` equal ones.

    seed: of the order of the faces, where several processes have to agree on it, and of the draw
    of a BalancedSampler.
    """

    rank: int = 0
    count: int = 1
    seed: int = 0

    def start_epoch(self, loader: DataLoader, epoch: int) -> None:
        """Give the epoch an order of its own; torch's sampler of a single process needs none."""
        if isinstance(loader.sampler, DistributedSampler | BalancedSampler):
            loader.sampler.set_epoch(epoch)


class BalancedSampler(Sampler[int]):
    """As many draws an epoch as there are faces, with replacement, each class with a probability
    proportional to its number of faces to the power 1 − `balance`.

    0 would leave the classes as they are, 1 draws them equally often. Faces without a label are
    drawn as often as an average one.
    """

    def __init__(self, label: Tensor, balance: float, shard: Shard):
        counts = torch.bincount(label[label >= 0])
        weights = counts.clamp(min=1).double() ** -balance
        mean = (weights * counts).sum() / counts.sum()
        self.weights = torch.where(label >= 0, weights[label.clamp(min=0)], mean)
        self.shard, self.epoch = shard, 0

    def set_epoch(self, epoch: int) -> None:
        """Draw other faces than in other epochs."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.weights) // self.shard.count

    def __iter__(self) -> Iterator[int]:
        # All processes draw the same faces, and each takes its own.
        random = torch.Generator().manual_seed(self.shard.seed * 100_003 + self.epoch)
        count = len(self) * self.shard.count
        drawn = torch.multinomial(self.weights, count, replacement=True, generator=random)
        return iter(drawn[self.shard.rank :: self.shard.count].tolist())


def training_loader(
    dataset: FaceDataset, batch_size: int, shard: Shard = Shard(), balance: float = 0.0
) -> DataLoader:
    """Shuffled full batches (batch normalisation dislikes a last batch of one).

    batch_size: over all processes together; UserError where they cannot share it evenly.
    balance: how far rare classes are drawn more often, see BalancedSampler; 0 draws each face once.
    """
    if batch_size % shard.count:
        raise UserError(f"--batch-size {batch_size} cannot be shared by {shard.count} devices.")
    whole = len(dataset) > batch_size
    sampler: Sampler | None = None
    if balance:
        sampler = BalancedSampler(dataset.label, balance, shard)
    elif shard.count > 1:
        sampler = DistributedSampler(
            dataset, shard.count, shard.rank, shuffle=True, seed=shard.seed, drop_last=True
        )
    return DataLoader(
        dataset, batch_size // shard.count, shuffle=sampler is None, sampler=sampler,
        drop_last=whole, collate_fn=_as_is,
    )  # fmt: skip


def evaluation_loader(dataset: FaceDataset, batch_size: int = 256) -> DataLoader:
    """Every face once, in order."""
    return DataLoader(dataset, batch_size, collate_fn=_as_is)


def _as_is(batch: Any) -> Any:
    """What FaceDataset gives is a whole batch already."""
    return batch
