"""FDN, Intra-RM, Inter-RM and EPN (Ruan et al. 2021, "Feature Decomposition and Reconstruction
Learning for Effective Facial Expression Recognition", sections 3.1 and 3.2).

Equations 1, 3, 4 and 7 to 12, which make the expression feature, are the functions of this file;
the losses are in train.recipes.fdrl. n is the number of faces, P the length of the basic
feature, M the number of latent features and D their length.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from train.networks.encoders import Encoder

Layer = Callable[[Tensor], Tensor]

SMALLEST_SQUARE = 1e-12
"""Squared distances below count as this much: the root has no gradient at 0, where two messages
are alike, which ReLU makes of any two that are all below 0."""


def latent_features(basic: Tensor, layer: Layer) -> Tensor:
    """l, eq. 1: basic features (n, P) → (n, M, D). layer: W_d, of every latent feature."""
    return layer(basic).relu()


def importance(latent: Tensor, layer: Layer) -> Tensor:
    """The vectors α, eq. 3: (n, M, D) → (n, M, D), 0 to 1. layer: W_s, of every latent feature."""
    return layer(latent).sigmoid()


def intra_weights(importance: Tensor) -> Tensor:
    """Intra-W, eq. 4: the L1 norm of each α, (n, M, D) → (n, M)."""
    return importance.abs().sum(dim=2)


def intra_aware_features(latent: Tensor, weights: Tensor) -> Tensor:
    """f, eq. 7: latent features (n, M, D) by their Intra-W (n, M)."""
    return weights[:, :, None] * latent


def relation_messages(intra_aware: Tensor, layer: Layer) -> Tensor:
    """g, eq. 8: (n, M, D) → (n, M, D). layer: W_e, of every latent feature."""
    return layer(intra_aware).relu()


def inter_weights(messages: Tensor) -> Tensor:
    """Inter-W ω, eq. 9: tanh of the Euclidean distance between any two of the messages (n, M, D),
    (n, M, M); 0 between a message and itself."""
    squares = (messages[:, :, None] - messages[:, None]).square().sum(dim=3)
    others = 1 - torch.eye(messages.shape[1], device=messages.device)
    return squares.clamp(min=SMALLEST_SQUARE).sqrt().tanh() * others


def inter_aware_features(weights: Tensor, messages: Tensor) -> Tensor:
    """f̂, eq. 10: the messages (n, M, D) summed by Inter-W (n, M, M), (n, M, D)."""
    return weights @ messages


def importance_aware_features(intra_aware: Tensor, inter_aware: Tensor, delta: float) -> Tensor:
    """y of each latent feature, eq. 11: `delta` of the one (n, M, D), the rest of the other."""
    return delta * intra_aware + (1 - delta) * inter_aware


def expression_feature(features: Tensor) -> Tensor:
    """y, eq. 12: the sum over the latent features, (n, M, D) → (n, D)."""
    return features.sum(dim=1)


class Decompose(nn.Module):
    """The M layers W_d of FDN as one: (n, P) → (n, M, D)."""

    def __init__(self, basic: int, latents: int, dim: int):
        super().__init__()
        self.shape = (latents, dim)
        self.layer = nn.Linear(basic, latents * dim)

    def forward(self, basic: Tensor) -> Tensor:
        return self.layer(basic).unflatten(1, self.shape)


class EachLatent(nn.Module):
    """A linear layer of its own for each of M features, (n, M, D) → (n, M, D), as a convolution
    in M groups: one operation instead of M."""

    def __init__(self, latents: int, dim: int):
        super().__init__()
        self.layer = nn.Conv1d(latents * dim, latents * dim, 1, groups=latents)

    def forward(self, features: Tensor) -> Tensor:
        return self.layer(features.flatten(1).unsqueeze(2)).reshape(features.shape)


class Analysis(NamedTuple):
    """What FDRL makes of n faces. latent: (n, M, D). intra_weights: (n, M), None without Intra-RM.
    feature: y, (n, D). logits: (n, classes)."""

    latent: Tensor
    intra_weights: Tensor | None
    feature: Tensor
    logits: Tensor


class FdrlBranch(nn.Module):
    """Backbone, FDN, FRN and EPN in the place of an ExpressionBranch: pixels (n, channels, size,
    size) in 0…1 → logits (n, classes).

    encoder: the backbone, whose feature is the basic feature. latents, dim: M and D. delta: δ of
    eq. 11, which plays no part without Inter-RM. intra, inter: use Intra-RM, Inter-RM (Table 2).
    """

    def __init__(
        self,
        encoder: Encoder,
        classes: int,
        dropout: float,
        latents: int,
        dim: int,
        delta: float,
        intra: bool,
        inter: bool,
    ):
        super().__init__()
        self.encoder = encoder
        self.decompose = Decompose(encoder.feature_dim, latents, dim)
        self.intra = EachLatent(latents, dim) if intra else None
        if self.intra is not None:
            # An Intra-W of 1/M, where L_B wants it; sigmoids of 1/2 add up to D/2, and the first
            # hundreds of steps would be spent on that alone. The paper says nothing of the start.
            bias = self.intra.layer.get_parameter("bias")
            nn.init.constant_(bias, -math.log(latents * dim - 1))
        self.inter = EachLatent(latents, dim) if inter else None
        self.delta = delta
        self.dropout = nn.Dropout(dropout)
        # EPN, by the name that it has in every expression branch.
        self.classifier = nn.Linear(dim, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.analyse(pixels).logits

    def describe(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The expression feature y (n, D) and the logits."""
        return self.analyse(pixels)[2:]

    def analyse(self, pixels: Tensor) -> Analysis:
        """Everything that the losses and the figures need."""
        # Distances and sums in full precision: bfloat16 keeps too little of small differences.
        latent = latent_features(self.encoder(pixels), self.decompose).float()
        weights, features = None, latent
        if self.intra:
            weights = intra_weights(importance(latent, self.intra).float())
            features = intra_aware_features(latent, weights)
        if self.inter:
            messages = relation_messages(features, self.inter).float()
            related = inter_aware_features(inter_weights(messages), messages)
            features = importance_aware_features(features, related, self.delta)
        feature = expression_feature(features)
        return Analysis(latent, weights, feature, self.classifier(self.dropout(feature)))
