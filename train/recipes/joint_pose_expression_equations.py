"""Equations 3 to 7 of joint pose and expression modelling (Zhang et al. 2018), each as a function
of tensors. Discriminators give logits: D = sigmoid(logit)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def attribute_value(real: Tensor, fake: Tensor) -> Tensor:
    """Eq. 3, what D_att maximises: logits of (x, y) and of (G(x, y), y)."""
    return _adversarial_value(real, fake)


def identity_value(prior: Tensor, encoded: Tensor) -> Tensor:
    """Eq. 4, what D_i maximises: logits of samples of the prior and of G_enc(x)."""
    return _adversarial_value(prior, encoded)


def deceiving_loss(fake: Tensor) -> Tensor:
    """What G minimises of eq. 3 and of eq. 4: −log D instead of log(1 − D), which has the same
    fixed point but a gradient while D still wins (Goodfellow et al. 2014, section 3)."""
    return -F.logsigmoid(fake.float()).mean()


def classifier_term(error: Tensor, generated: int) -> Tensor:
    """L_c, eq. 5, over the enlarged training set, of which each face counts alike: the term of the
    n real faces, or of n of the `generated`·n that were made of them. Of all these terms the sum
    is L_c. error: their mean cross-entropy."""
    return error / (1 + generated)


def content_loss(x: Tensor, made: Tensor) -> Tensor:
    """L_con, eq. 6: pixels (n, channels, size, size) of x and G(x, y^e, y^p).

    ‖·‖₁ is the mean over the pixels.
    """
    return (x - made).abs().mean()


def variation_loss(made: Tensor) -> Tensor:
    """TV of eq. 7: how far pixels (n, channels, size, size) differ from those below and beside
    them, on average."""
    down = (made[:, :, 1:] - made[:, :, :-1]).abs().mean()
    across = (made[:, :, :, 1:] - made[:, :, :, :-1]).abs().mean()
    return down + across


def generator_loss(losses: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """What G minimises of the objective, eq. 7: α L_con + β TV + L_c + the two adversaries.
    losses: by the names of `weights`."""
    return sum(weight * losses[name] for name, weight in weights.items())


def _adversarial_value(real: Tensor, fake: Tensor) -> Tensor:
    # log(1 − sigmoid(z)) = logsigmoid(−z)
    return F.logsigmoid(real.float()).mean() + F.logsigmoid(-fake.float()).mean()
