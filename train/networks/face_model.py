"""What inference keeps of every recipe: an expression branch and a pose branch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.networks.encoders import FaceInput, build_encoder

YAW_BIN_EDGES = (10.0, 20.0, 30.0, 40.0)
"""Degrees of |yaw| between the five pose classes (IPD-FER, Table 1)."""

POSE_SCALE = 15.0
"""Degrees that one unit of the pose head stands for, about the spread of the labels."""


def yaw_bin(yaw: Tensor) -> Tensor:
    """The pose class (int64, 0 to 4) of each yaw in degrees; NaN falls into the last."""
    edges = torch.tensor(YAW_BIN_EDGES, dtype=yaw.dtype, device=yaw.device)
    return torch.bucketize(yaw.abs().nan_to_num(nan=90.0), edges)


class ExpressionBranch(nn.Module):
    """E_exp and C_exp: pixels (n, channels, size, size) in 0…1 → logits (n, classes)."""

    def __init__(self, network: str, classes: int, dropout: float):
        super().__init__()
        self.encoder = build_encoder(network)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.encoder.feature_dim, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.encoder(pixels)))


class PoseBranch(nn.Module):
    """E_pose with two heads: C_p, logits of the five |yaw| classes, and yaw, pitch, roll."""

    def __init__(self, network: str):
        super().__init__()
        self.encoder = build_encoder(network)
        self.classifier = nn.Linear(self.encoder.feature_dim, len(YAW_BIN_EDGES) + 1)
        self.angles = nn.Linear(self.encoder.feature_dim, 3)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, 5), and degrees (n, 3) as seen in the aligned face."""
        feature = self.encoder(pixels)
        return self.classifier(feature), self.angles(feature) * POSE_SCALE


@dataclass
class FaceOutput:
    """expression: logits (n, classes). yaw_bin: logits (n, 5). pose: degrees (n, 3), aligned face."""

    expression: Tensor
    yaw_bin: Tensor
    pose: Tensor


class FaceModel(nn.Module):
    """Both branches on aligned faces: uint8 (n, 112, 112, 1 or 3) → :class:`FaceOutput`."""

    def __init__(self, network: str, pose_network: str, classes: int, dropout: float = 0.0):
        super().__init__()
        self.expression = ExpressionBranch(network, classes, dropout)
        self.pose = PoseBranch(pose_network)
        spec, pose_spec = self.expression.encoder.spec, self.pose.encoder.spec
        self.expression_input = FaceInput(spec.size, spec.channels)
        self.pose_input = FaceInput(pose_spec.size, pose_spec.channels)

    def forward(self, faces: Tensor) -> FaceOutput:
        yaw_logits, pose = self.pose(self.pose_input(faces))
        return FaceOutput(self.expression(self.expression_input(faces)), yaw_logits, pose)
