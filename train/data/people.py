"""Faces of known people, drawn at random: what TDGAN pairs with expressions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from train.data.prepared import PreparedFaces
from train.errors import UserError


class People:
    """The training faces of a prepared folder whose classes are people; UserError where they are
    not of several. `count`: K_f, how many people."""

    def __init__(self, data: PreparedFaces):
        rows = data.rows("train")
        self.rows = rows[data.label[rows] >= 0]
        self.faces, self.label = data.faces, data.label
        self.count = len(data.classes)
        if len(np.unique(self.label[self.rows])) < 2:
            raise UserError("--faces needs training faces of several people: `prepare people`.")

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """So many at random, with replacement: uint8 (count, 112, 112, channels), and who they
        show, int64 (count,)."""
        rows = self.rows[torch.randint(len(self.rows), (count,)).numpy()]
        return torch.from_numpy(self.faces[rows]), torch.from_numpy(self.label[rows])
