"""Equations 5 to 12 of TDGAN (Xie, Hu and Chen 2021), each as a function of tensors; 2 to 4 are
train.networks.tdgan.Generator, 1 is the GAN of Goodfellow et al. that it starts from.

Discriminators and M_ER give logits: D = softmax(logits). Classes come as numbers, int64 (n,), or as
distributions, float (n, classes). Expectations are means over faces, and ‖·‖₁ is the mean over
pixels or features too.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def face_value(real: Tensor, person: Tensor, made: Tensor) -> Tensor:
    """L_f of eq. 5, what D_f maximises: logits (n, K_f + 1) of I_f, who shows `person`, and of
    I_g, which is to be called the last class, fake."""
    fake = person.new_full((len(made),), made.shape[1] - 1)
    return log_likelihood(real, person) + log_likelihood(made, fake)


def expression_value(real: Tensor, expression: Tensor) -> Tensor:
    """L_e of eq. 5, what D_e maximises: logits (n, K_e) of I_e alone, never of I_g."""
    return log_likelihood(real, expression)


def classification_loss(on_person: Tensor, on_expression: Tensor, weights: tuple) -> Tensor:
    """L_C, eq. 6: what D_f and D_e find in I_g of the person of I_f and the expression of I_e, as
    log-likelihoods; weights: λ_Gf, λ_Ge."""
    lambda_gf, lambda_ge = weights
    return -(lambda_gf * on_person + lambda_ge * on_expression)


def consistency_loss(
    remade_f: Tensor, i_f: Tensor, remade_e: Tensor, i_e: Tensor, lambda_d: float
) -> Tensor:
    """L_D, eq. 7: both inputs against Î_f = G(I_g, I_f) and Î_e = G(I_e, I_g)."""
    return lambda_d * (F.l1_loss(remade_f.float(), i_f) + F.l1_loss(remade_e.float(), i_e))


def perceptual_loss(d_f: Tensor, d_gf: Tensor, lambda_p: float) -> Tensor:
    """L_P, eq. 8: the representation of I_f against that of I_g."""
    return lambda_p * F.l1_loss(d_gf.float(), d_f.float())


def generator_loss(l_c: Tensor, l_d: Tensor | float, l_p: Tensor) -> Tensor:
    """L_G, eq. 9."""
    return l_c + l_d + l_p


def recognition_loss(logits: Tensor, expression: Tensor) -> Tensor:
    """L_ER, eq. 10, of M_ER: logits (n, K_e)."""
    return -log_likelihood(logits, expression)


def interpolated_expression(first: Tensor, second: Tensor, alpha: float) -> Tensor:
    """d_e_int, eq. 11."""
    return (1 - alpha) * first + alpha * second


def interpolated_face(first: Tensor, second: Tensor, beta: float) -> Tensor:
    """d_f_int, eq. 12."""
    return (1 - beta) * first + beta * second


def log_likelihood(logits: Tensor, truth: Tensor) -> Tensor:
    """E[log D(I)] of the classes that are true; the closer to 0, the surer D is of them."""
    return -F.cross_entropy(logits.float(), truth)
