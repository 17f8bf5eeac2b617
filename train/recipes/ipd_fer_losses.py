"""The losses of IPD-FER, each with the number of its equation.

Jiang and Deng, "Disentangling Identity and Pose for Facial Expression Recognition"; how they are
weighed and summed is in :mod:`train.recipes.ipd_fer`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from train.recipes.losses import pose_error, soft_cross_entropy, yaw_bin_error


def reconstruction_loss(x_ipe: Tensor, x_ip: Tensor, x: Tensor, neutral: Tensor) -> Tensor:
    """L_recon, eq. 1: pixels (n, channels, size, size) in 0…1; neutral: bool (n,).

    ‖·‖₁ is the mean over the pixels, as the weight of 10 in eq. 11 suggests.
    """
    return _distance(x_ipe, x).mean() + (neutral * _distance(x_ip, x)).mean()


def _distance(made: Tensor, x: Tensor) -> Tensor:
    """‖made − x‖₁ of each face (n, channels, size, size), as the mean over its pixels: (n,)."""
    return (made - x).abs().mean(dim=(1, 2, 3))


def identity_loss(n_ipe: Tensor, n_ip: Tensor, n_x: Tensor) -> Tensor:
    """L_id, eq. 2: features (n, 512) that N finds in both synthesised faces and in the real one."""
    return (n_ipe - n_x).abs().mean() + (n_ip - n_x).abs().mean()


def cosine_loss(f_id: Tensor, f_exp: Tensor) -> Tensor:
    """L_cos, eq. 3: |cosine| between features (n, 512)."""
    return F.cosine_similarity(f_id, f_exp, dim=1).abs().mean()


def confusion_loss(logits: Tensor) -> Tensor:
    """L_confusion, eq. 4: cross-entropy of C_p(f_exp), logits (n, 5), against equal shares."""
    return -logits.float().log_softmax(dim=1).mean(dim=1).mean()


expression_loss = real_loss = synthesis_loss = soft_cross_entropy
"""L_exp, eq. 5: C_exp finds y in the input. L^r_exp, eq. 8: D finds it in real faces. L^f_exp,
eq. 10: D finds it in x_ipe."""

pose_loss = yaw_bin_error
"""L_pose, eq. 6: C_p finds the bin of |yaw|. Faces of unknown pose do not count: our addition."""


def neutral_loss(logits: Tensor, neutral: int) -> Tensor:
    """L^f_neu, eq. 9: D calls x_ip neutral; neutral: that class's index."""
    return -logits.float().log_softmax(dim=1)[:, neutral].mean()


def turn_loss(made: Tensor, angles: Tensor) -> Tensor:
    """L_turn, not of the paper: angles (n, 3) in degrees that E_pose finds in x_ip and in x."""
    return pose_error(made, angles, torch.ones_like(angles[:, 0]))


def ahead_loss(x_i: Tensor, x: Tensor, ahead: Tensor) -> Tensor:
    """L_ahead, not of the paper: x_i (faces that look ahead, channels, size, size) is made by f_id
    alone of those of x that `ahead`, bool (n,), tells; weighed as neutral faces are in eq. 1."""
    return _distance(x_i, x[ahead]).sum() / len(x)
