"""Face pre-training: encoders learn to predict f_id, the features of a recognition network.

The paper starts its encoders from the weights of face recognition (IPD-FER, section 4.2). Such
weights may not always be passed on; their outputs on faces may be learnt from. No label is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from train.data.batches import Arrays, Batch, FaceDataset, evaluation_loader
from train.data.identity import identity_features
from train.data.prepared import PreparedFaces
from train.networks.face_model import FaceModel
from train.networks.identity import load_identity
from train.networks.mobilefacenet import FEATURE_DIM
from train.recipes.baseline import Baseline, BaselineOptions


@dataclass(frozen=True)
class PretrainOptions(BaselineOptions):
    """Hyper-parameters of face pre-training: the baseline's, of which mixup and dropout play no
    part here, and the recognition network."""

    identity: str = "facenet-vggface2"
    """E_id: file of a MobileFaceNet state dict, facenet-casia or facenet-vggface2."""


class Pretrain(Baseline):
    """Trains both encoders of :attr:`model` to give f_id of faces; the heads stay as they are."""

    options_type = PretrainOptions
    feature_dim = FEATURE_DIM

    def __init__(self, options: PretrainOptions, classes: tuple[str, ...]):
        super().__init__(options, classes)
        self.identity = load_identity(options.identity)

    def rows(self, data: PreparedFaces) -> np.ndarray:
        return data.rows("train", "unlabelled")

    def prepare(self, data: PreparedFaces, folder: Path, fabric) -> Arrays:
        """f_id of every face, scaled to a mean of 0 and a variance of 1 over the training faces."""
        f_id = identity_features(self.identity, data, folder, fabric.device)
        seen = f_id[self.rows(data)]
        return {"f_id": (f_id - seen.mean(axis=0)) / seen.std(axis=0)}

    def learners(self) -> tuple[nn.Module, nn.Module]:
        """The encoders alone: several devices would wait for gradients that the heads never get."""
        return self.model.expression.encoder, self.model.pose.encoder

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One update of both encoders."""
        pixels, _ = self.augment(self.model.expression_input(batch.faces), batch.pose)
        f_id = batch.extra["f_id"]
        losses = {
            "expression": feature_error(self.expression(pixels), f_id),
            "pose": feature_error(self.pose(self.model.pose_pixels(pixels)), f_id),
        }
        self.descend("model", self.total(losses))
        self.advance()
        return losses

    @torch.no_grad()
    def validate(
        self, model: FaceModel, data: PreparedFaces, extra: Arrays | None, fabric
    ) -> dict[str, float | None]:
        """Share of f_id's variance that the expression encoder explains on validation faces."""
        model.eval()
        loader = evaluation_loader(FaceDataset(data, data.rows("validation"), extra))
        error, spread = 0.0, 0.0
        for batch in loader:
            batch = batch.to(fabric.device)
            with fabric.autocast():
                feature = model.expression.encoder(model.expression_input(batch.faces))
            f_id = batch.extra["f_id"]
            error += float((feature.float() - f_id).square().sum())
            spread += float(f_id.square().sum())
        return {"variance_explained": 1 - error / spread}

    def score(self, row: dict, mean_class: float) -> float:
        return row["variance_explained"]


def feature_error(feature: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of features (n, d); 1 is what a constant would have."""
    return (feature.float() - target).square().mean()
