"""Equations 1 to 12 of IPD-FER (Jiang and Deng), each as a function of tensors."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from train.recipes.baseline import soft_cross_entropy, yaw_bin_error


def reconstruction_loss(x_ipe: Tensor, x_ip: Tensor, x: Tensor, neutral: Tensor) -> Tensor:
    """L_recon, eq. 1: pixels (n, channels, size, size) in 0…1; neutral: bool (n,).

    ‖·‖₁ is the mean over the pixels, as the weight of 10 in eq. 11 suggests.
    """
    expressive = (x_ipe - x).abs().mean(dim=(1, 2, 3))
    still = (x_ip - x).abs().mean(dim=(1, 2, 3))
    return expressive.mean() + (neutral * still).mean()


def identity_loss(n_ipe: Tensor, n_ip: Tensor, n_x: Tensor) -> Tensor:
    """L_id, eq. 2: features (n, 512) that N finds in both synthesised faces and in the real one."""
    return (n_ipe - n_x).abs().mean() + (n_ip - n_x).abs().mean()


def cosine_loss(f_id: Tensor, f_exp: Tensor) -> Tensor:
    """L_cos, eq. 3: |cosine| between features (n, 512)."""
    return F.cosine_similarity(f_id, f_exp, dim=1).abs().mean()


def confusion_loss(logits: Tensor) -> Tensor:
    """L_confusion, eq. 4: cross-entropy of C_p(f_exp), logits (n, 5), against equal shares."""
    return -logits.float().log_softmax(dim=1).mean(dim=1).mean()


def expression_loss(logits: Tensor, target: Tensor) -> Tensor:
    """L_exp, eq. 5: logits (n, classes) of C_exp, target: distributions (n, classes)."""
    return soft_cross_entropy(logits, target)


def pose_loss(logits: Tensor, yaw_bin: Tensor, known: Tensor) -> Tensor:
    """L_pose, eq. 6: logits (n, 5) of C_p. Faces of unknown pose do not count: our addition."""
    return yaw_bin_error(logits, yaw_bin, known)


def classification_loss(l_exp: Tensor, l_pose: Tensor) -> Tensor:
    """L_c, eq. 7."""
    return l_exp + l_pose


def real_loss(logits: Tensor, target: Tensor) -> Tensor:
    """L^r_exp, eq. 8: D finds the expression of real faces."""
    return soft_cross_entropy(logits, target)


def neutral_loss(logits: Tensor, neutral: int) -> Tensor:
    """L^f_neu, eq. 9: D calls x_ip neutral; neutral: that class's index."""
    return -logits.float().log_softmax(dim=1)[:, neutral].mean()


def synthesis_loss(logits: Tensor, target: Tensor) -> Tensor:
    """L^f_exp, eq. 10: D finds the input's expression in x_ipe."""
    return soft_cross_entropy(logits, target)


def generative_loss(losses: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """L'_G, eq. 11: λ1 L^f_neu + λ2 L^f_exp + λ3 L_id + λ4 L_recon, of those in use.

    losses: by the names of `weights`; one that an ablation leaves out is not among them.
    """
    return sum(weight * losses[name] for name, weight in weights.items() if name in losses)


def generator_loss(
    generative: Tensor, l_c: Tensor, losses: dict[str, Tensor], weights: dict[str, float]
) -> Tensor:
    """L_G, eq. 12: L'_G + L_c + β1 L_cos + β2 L_confusion, of the last two those in use.

    L_confusion has its β2 here; Algorithm 1 prints L_G + β2 L_confusion, which would count it
    twice.
    """
    terms = [weight * losses[name] for name, weight in weights.items() if name in losses]
    return generative + l_c + sum(terms)
