"""What every recipe offers to train.fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from train.data.batches import Batch, FaceDataset, evaluation_loader
from train.data.predictions import predict
from train.data.prepared import PreparedFaces
from train.metrics import expression_scores, pose_scores
from train.networks.face_model import Architecture, FaceModel


def states(parts: Mapping) -> dict[str, dict]:
    """The states of networks, optimizers or schedules, by their names."""
    return {name: each.state_dict() for name, each in parts.items()}


def load_states(parts: Mapping, found: Mapping[str, dict]) -> None:
    """Go on from what :func:`states` gave."""
    for name, each in parts.items():
        each.load_state_dict(found[name])


class Recipe(ABC):
    """A method of training :attr:`model`, what inference keeps. Made from its options (a frozen
    dataclass, :attr:`options_type`) and the names of the classes."""

    options_type: type
    feature_dim: int | None = None
    """Numbers in f_exp and f_pose; None for each encoder's own count."""
    model: FaceModel

    @classmethod
    def architecture(cls, options, classes: int) -> Architecture:
        """What :attr:`model` is; options: those of the recipe."""
        networks = options.network, options.pose_network
        return Architecture(*networks, classes, options.dropout, cls.feature_dim)

    def prepare(self, data: PreparedFaces, folder: Path, fabric) -> np.ndarray | None:
        """Whatever is computed of every face once, float32 (n, d), or None: f_id, or the
        probabilities of a teacher. Batch.extra holds it.

        folder: where the prepared data lies, and what is worth keeping is kept.
        """
        return None

    def rows(self, data: PreparedFaces) -> np.ndarray:
        """The faces to train on."""
        return data.rows("train")

    @abstractmethod
    def setup(self, fabric, steps: int) -> None:
        """Place the networks on the device and make the optimizers for `steps` steps."""

    @abstractmethod
    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of training; returns the losses by name."""

    def validate(
        self, model: FaceModel, data: PreparedFaces, extra: np.ndarray | None, fabric
    ) -> dict[str, float | None]:
        """Scores on validation of `model`, the averaged weights: accuracy, mean-class accuracy and
        pose errors. extra: what :meth:`prepare` gave."""
        rows = data.rows("validation")
        dataset = FaceDataset(data, rows)
        found = predict(model, evaluation_loader(dataset), data.rotation[rows], fabric)
        scores = expression_scores(found.probabilities, data.label[rows])
        bins, known = dataset.yaw_bin.numpy(), dataset.pose_known.numpy()
        pose = pose_scores(found, data.pose[rows], bins, known)
        errors = {f"{angle}_error": pose[angle] for angle in ("yaw", "pitch", "roll")}
        return {key: scores[key] for key in ("accuracy", "mean_class_accuracy")} | errors

    def score(self, row: dict, mean_class: float) -> float:
        """What chooses the best epoch, higher is better: of the scores of :meth:`validate` the
        accuracy, and of mean-class accuracy the share `mean_class`."""
        return (1 - mean_class) * row["accuracy"] + mean_class * row["mean_class_accuracy"]

    def picture(self, data: PreparedFaces, extra: np.ndarray | None, path: Path) -> None:
        """Draw after an epoch what can be seen of the training; nothing by default."""

    @abstractmethod
    def state(self) -> dict:
        """Everything that training needs to go on, as nested dicts of tensors and numbers."""

    @abstractmethod
    def load_state(self, state: dict) -> None:
        """Go on from what :meth:`state` gave."""
