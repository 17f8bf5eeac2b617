"""Prepared faces in shuffled batches of tensors."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from train.data.prepared import PreparedFaces
from train.networks.face_model import yaw_bin
from train.pose import turned


@dataclass
class Batch:
    """faces: uint8 (n, 112, 112, channels). label: int64 (n,), -1 for none.
    target: float32 (n, classes), the votes as a distribution (all 0 where nobody voted).
    pose: float32 (n, 3), degrees as seen in the aligned face, 0 where unknown.
    pose_known: bool (n,). yaw_bin: int64 (n,), the class of |yaw| in the original picture."""

    faces: Tensor
    label: Tensor
    target: Tensor
    pose: Tensor
    pose_known: Tensor
    yaw_bin: Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(*(getattr(self, field.name).to(device) for field in fields(self)))


class FaceDataset(Dataset):
    """The chosen rows of prepared faces; whole batches are fetched at once."""

    def __init__(self, data: PreparedFaces, rows: np.ndarray):
        self.faces = data.faces
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
        return Batch(
            faces=torch.from_numpy(self.faces[self.rows[chosen]]),
            label=self.label[chosen],
            target=self.target[chosen],
            pose=self.pose[chosen],
            pose_known=self.pose_known[chosen],
            yaw_bin=self.yaw_bin[chosen],
        )


def training_loader(dataset: FaceDataset, batch_size: int) -> DataLoader:
    """Shuffled full batches (batch normalisation dislikes a last batch of one)."""
    return DataLoader(
        dataset, batch_size, shuffle=True, drop_last=len(dataset) > batch_size, collate_fn=_as_is
    )


def evaluation_loader(dataset: FaceDataset, batch_size: int = 256) -> DataLoader:
    """Every face once, in order."""
    return DataLoader(dataset, batch_size, collate_fn=_as_is)


def _as_is(batch: Batch) -> Batch:
    return batch
