"""Whether made faces still show the person they were made of, as a recognition network sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from train.data.prepared import PreparedFaces
from train.errors import UserError
from train.networks.face_input import FaceInput
from train.networks.identity import Identity
from train.recipes.described import Made

INPUT = "input"
"""Title of the faces that others are made of."""
STRANGERS, SAME = "another input", "another picture of the person"
"""What likeness is compared with."""


@dataclass
class Likeness:
    """Mean cosines between the features of what is made and of its input, by title, and between
    those of one input and the next."""

    network: Identity
    cosines: dict[str, list[Tensor]] = field(default_factory=dict)
    side: int = 0
    """Of the made faces, in pixels."""
    _input: Tensor | None = None

    @torch.no_grad()
    def add(self, made: Made) -> None:
        """Look at some faces more; each input before what is made of it."""
        feature = self.network(made.pixels)
        if made.title == INPUT:
            self._input, self.side = feature, made.pixels.shape[2]
            self._count(STRANGERS, feature[1:], feature[:-1])
        elif self._input is not None:
            self._count(made.title, feature, self._input)

    @torch.no_grad()
    def add_people(self, data: PreparedFaces, pairs: np.ndarray) -> None:
        """Two pictures of a person each, as small and as grey as the made faces; pairs: as
        :func:`same_person` gives them."""
        small = FaceInput(self.side, 1)
        for one in torch.from_numpy(pairs).split(32):
            sides = [torch.from_numpy(np.array(data.faces[rows])) for rows in one.T.numpy()]
            self._count(SAME, *(self.network(small(side)) for side in sides))

    def _count(self, title: str, one: Tensor, other: Tensor) -> None:
        if len(one):  # a single input has no other
            self.cosines.setdefault(title, []).append(F.cosine_similarity(one, other))

    def scores(self) -> dict[str, float]:
        """Mean cosine by title."""
        return {title: float(torch.cat(each).mean()) for title, each in self.cosines.items()}


def same_person(data: PreparedFaces) -> np.ndarray:
    """Rows of each picture and the next of the same person, int64 (n, 2); UserError for none."""
    order = np.argsort(data.label, kind="stable")
    pairs = [(a, b) for a, b in pairwise(order) if data.label[a] == data.label[b] >= 0]
    if not pairs:
        raise UserError("--people has no two pictures of one person: give others.")
    return np.array(pairs)


def report(scores: dict[str, float]) -> str:
    """In one line."""
    words = [f"{title} {cosine:.2f}" for title, cosine in scores.items()]
    return "likeness to the input (cosine): " + ", ".join(words)
