"""What inference keeps of every recipe: an expression branch and a pose branch.

An :class:`Architecture` says all that it takes to make one with fresh weights, so that a run is
loaded without knowing how it was trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from train.errors import UserError
from train.networks.encoders import build_encoder
from train.networks.face_input import FaceInput
from train.networks.fdrl import FdrlBranch
from train.networks.tdgan import TdganBranch
from train.pose import YAW_BIN_EDGES

POSE_SCALE = 15.0
"""Degrees that one unit of the pose head stands for, about the spread of the labels."""


class ExpressionBranch(nn.Module):
    """E_exp and C_exp: pixels (n, channels, size, size) in 0…1 → logits (n, classes)."""

    def __init__(self, network: str, classes: int, dropout: float, feature_dim: int | None = None):
        super().__init__()
        self.encoder = build_encoder(network, feature_dim)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.encoder.feature_dim, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.describe(pixels)[1]

    def describe(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The feature f_exp (n, feature_dim) and the logits."""
        feature = self.encoder(pixels)
        return feature, self.classifier(self.dropout(feature))


class PoseBranch(nn.Module):
    """E_pose with two heads: C_p, logits of the five |yaw| classes, and yaw, pitch, roll."""

    def __init__(self, network: str, feature_dim: int | None = None):
        super().__init__()
        self.encoder = build_encoder(network, feature_dim)
        self.classifier = nn.Linear(self.encoder.feature_dim, len(YAW_BIN_EDGES) + 1)
        self.angles = nn.Linear(self.encoder.feature_dim, 3)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, 5), and degrees (n, 3) as seen in the aligned face."""
        return self.describe(pixels)[1:]

    def describe(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The feature f_pose (n, feature_dim), logits and degrees."""
        feature = self.encoder(pixels)
        return feature, self.classifier(feature), self.angles(feature) * POSE_SCALE


@dataclass
class FaceOutput:
    """expression: logits (n, classes). yaw_bin: logits (n, 5).
    pose: degrees (n, 3), as seen in the crop."""

    expression: Tensor
    yaw_bin: Tensor
    pose: Tensor


class FaceModel(nn.Module):
    """Both branches on aligned faces: uint8 (n, 112, 112, 1 or 3) → :class:`FaceOutput`.

    feature_dim: numbers in f_exp and f_pose; by default each encoder's own count.
    """

    def __init__(
        self,
        network: str,
        pose_network: str,
        classes: int,
        dropout: float = 0.0,
        feature_dim: int | None = None,
    ):
        super().__init__()
        self.expression = ExpressionBranch(network, classes, dropout, feature_dim)
        self.pose = PoseBranch(pose_network, feature_dim)
        spec = self.expression.encoder.spec
        self.expression_input = FaceInput(spec.size, spec.channels, spec.detail, spec.window)

    def forward(self, faces: Tensor) -> FaceOutput:
        pixels = self.expression_input(faces)
        yaw_logits, pose = self.pose(self.pose_pixels(pixels))
        return FaceOutput(self.expression(pixels), yaw_logits, pose)

    def pose_pixels(self, pixels: Tensor) -> Tensor:
        """What the pose branch sees of pixels (n, channels, size, size) that the expression branch
        sees: the same, made grey or smaller, or grey three times, where its network wants that."""
        spec = self.pose.encoder.spec
        if pixels.shape[1] > spec.channels:
            pixels = (pixels * self.expression_input.grey.view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
        pixels = pixels.expand(-1, spec.channels, -1, -1)
        step, rest = divmod(pixels.shape[2], spec.size)
        if rest:
            return F.interpolate(pixels, size=spec.size, mode="bilinear", align_corners=False)
        return F.avg_pool2d(pixels, step) if step > 1 else pixels


LINEAR = "linear"
HEADS: dict[str, Callable[..., Any]] = {"fdrl": FdrlBranch, "tdgan": TdganBranch}
"""Expression branches by the head that they have on their encoder, beside :data:`LINEAR`, that of
ExpressionBranch. Each is made of the encoder, classes, dropout and options of its own."""


@dataclass(frozen=True)
class Architecture:
    """A :class:`FaceModel` but for its weights; the entry ``model`` of a run's config.json.

    network, pose_network: by their names in train.networks.encoders. feature_dim: as in FaceModel.
    head: LINEAR or one of HEADS; head_options: what that takes beside encoder, classes and dropout.
    """

    network: str
    pose_network: str
    classes: int
    dropout: float = 0.0
    feature_dim: int | None = None
    head: str = LINEAR
    head_options: Mapping[str, float] = field(default_factory=dict)


def build_face_model(architecture: Architecture) -> FaceModel:
    """The model with fresh weights; UserError where this version has no such head."""
    head, classes, dropout = architecture.head, architecture.classes, architecture.dropout
    if head != LINEAR and head not in HEADS:
        known = ", ".join((LINEAR, *HEADS))
        raise UserError(f"There is no expression head {head!r}, only {known}.")
    model = FaceModel(
        architecture.network, architecture.pose_network, classes, dropout, architecture.feature_dim
    )
    # After the whole model, linear classifier included: so the same seed gives the same weights as
    # ever.
    if head != LINEAR:
        encoder = model.expression.encoder
        model.expression = HEADS[head](encoder, classes, dropout, **architecture.head_options)
    return model
