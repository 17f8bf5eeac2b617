"""Head pose in batches, with the signs of realtime.faces.HeadPose (the tests hold them equal)."""

from __future__ import annotations

import torch
from torch import Tensor

YAW_BIN_EDGES = (10.0, 20.0, 30.0, 40.0)
"""Degrees of |yaw| between the five pose classes (IPD-FER, Table 1)."""


def yaw_bin(yaw: Tensor) -> Tensor:
    """The pose class (int64, 0 to 4) of each yaw in degrees; NaN falls into the last.

    It is the number of edges that |yaw| is larger than, the paper's words (section 4.5): a face at
    an edge belongs to the class below it.
    """
    edges = torch.tensor(YAW_BIN_EDGES, dtype=yaw.dtype, device=yaw.device)
    return torch.bucketize(yaw.abs().nan_to_num(nan=90.0), edges)


def pose_matrix(angles: Tensor) -> Tensor:
    """Rotations (n, 3, 3) of yaw, pitch, roll in degrees (n, 3)."""
    yaw, pitch, roll = torch.deg2rad(angles).unbind(dim=1)
    sin_y, cos_y = yaw.sin(), yaw.cos()
    sin_p, cos_p = (-pitch).sin(), (-pitch).cos()
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    about_y = torch.stack([cos_y, zero, sin_y, zero, one, zero, -sin_y, zero, cos_y], dim=1)
    about_x = torch.stack([one, zero, zero, zero, cos_p, -sin_p, zero, sin_p, cos_p], dim=1)
    return about_y.view(-1, 3, 3) @ about_x.view(-1, 3, 3) @ _about_z(-roll)


def pose_angles(rotation: Tensor) -> Tensor:
    """Yaw, pitch, roll in degrees (n, 3) of rotations (n, 3, 3)."""
    yaw = torch.atan2(rotation[:, 0, 2], rotation[:, 2, 2])
    pitch = torch.asin(rotation[:, 1, 2].clamp(-1, 1))
    roll = torch.atan2(-rotation[:, 1, 0], rotation[:, 1, 1])
    return torch.rad2deg(torch.stack([yaw, pitch, roll], dim=1))


def turned(angles: Tensor, degrees: Tensor) -> Tensor:
    """The poses (n, 3) after each image is turned clockwise by `degrees` (n,) in its plane."""
    return pose_angles(_about_z(-torch.deg2rad(degrees)) @ pose_matrix(angles))


def mirrored(angles: Tensor) -> Tensor:
    """The poses (n, 3) in images mirrored left to right."""
    return angles * torch.tensor([-1.0, 1.0, -1.0], device=angles.device)


def _about_z(angle: Tensor) -> Tensor:
    sin, cos, zero = angle.sin(), angle.cos(), torch.zeros_like(angle)
    rows = [cos, -sin, zero, sin, cos, zero, zero, zero, zero + 1]
    return torch.stack(rows, dim=1).view(-1, 3, 3)
