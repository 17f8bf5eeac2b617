"""What every recipe offers to train.loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from train.data.batches import Batch
from train.data.prepared import PreparedFaces
from train.networks.face_model import FaceModel


class Recipe(ABC):
    """A method of training :attr:`model`, what inference keeps. Made from its options (a frozen
    dataclass, :attr:`options_type`) and the names of the classes."""

    options_type: type
    feature_dim: int | None = None
    """Numbers in f_exp and f_pose; None for each encoder's own count."""
    model: FaceModel

    @classmethod
    def face_model(cls, options: Mapping, classes: int) -> FaceModel:
        """The model with fresh weights; options: those of the recipe, as config.json holds them."""
        networks = options["network"], options["pose_network"]
        return FaceModel(*networks, classes, options["dropout"], cls.feature_dim)

    def prepare(self, data: PreparedFaces, folder: Path, fabric) -> np.ndarray | None:
        """Whatever is computed from the data once: f_id of every face, or None.

        folder: where the prepared data lies, and what is worth keeping is kept.
        """
        return None

    @abstractmethod
    def setup(self, fabric, steps: int) -> None:
        """Place the networks on the device and make the optimizers for `steps` steps."""

    @abstractmethod
    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of training; returns the losses by name."""

    def picture(self, data: PreparedFaces, identity: np.ndarray | None, path: Path) -> None:
        """Draw after an epoch what can be seen of the training; nothing by default."""

    @abstractmethod
    def state(self) -> dict:
        """Everything that training needs to go on, as nested dicts of tensors and numbers."""

    @abstractmethod
    def load_state(self, state: dict) -> None:
        """Go on from what :meth:`state` gave."""
