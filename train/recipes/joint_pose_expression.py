"""Joint pose and expression modelling: Zhang, Zhang, Mao and Xu, CVPR 2018.

A generator takes a face apart into an identity representation and codes of expression and pose,
and makes faces of the same person with other codes. The classifier learns from real and generated
faces. Only the classifier is kept, with the pose branch of the baseline.

Each update of :meth:`JointPoseExpression.step` belongs to one of equations 3, 4, 5 and 7, whose
terms are the functions at the end; discriminators give logits there: D = sigmoid(logit). Without
generated faces (0N in the paper's Figure 5) nothing but the baseline is left, bit for bit. What the
paper leaves open is decided in docs/choices.md and said here where it is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from train.data.batches import Arrays, Batch
from train.data.prepared import PreparedFaces
from train.files import save_figure
from train.networks.joint_pose_expression import (
    AttributeCodes,
    AttributeDiscriminator,
    Generator,
    IdentityDiscriminator,
)
from train.options import BelowOne, Count, NotNegative, Positive
from train.plots import plot_faces
from train.pose import YAW_BIN_EDGES
from train.recipes.baseline import Baseline, BaselineOptions
from train.recipes.described import Made, Method
from train.recipes.losses import mixup, soft_cross_entropy, used
from train.recipes.recipe import Update, fixed, statistics_kept


@dataclass(frozen=True)
class JointPoseExpressionOptions(BaselineOptions):
    """Hyper-parameters of joint pose and expression modelling: the baseline's, for the classifier
    and the pose branch, and those of the generator and its discriminators. A weight of 0 takes a
    term out."""

    generated: Literal[0, 1, 5, 10, 15, 20] = 5
    """Generated faces for each real one: 0N to 20N of Figure 5. 0 trains no generator."""
    signed: bool = True
    """Nine pose codes, to the left and to the right; without, the five classes of |yaw|."""
    identity_dim: Count = 50
    """Numbers in the identity representation; those of CAAE."""
    decoder_width: Count | None = None
    """Of G_enc and G_dec, whose channels go from this to 8 times and from 8 times to half of it;
    that of --network by default."""
    alpha: NotNegative = 100.0
    """Weight of L_con: a face made with its own codes looks like the input."""
    beta: NotNegative = 1.0
    """Weight of the total variation."""
    generator_rate: Positive = 2e-4
    """Learning rate of G, D_att and D_i."""
    momentum: BelowOne = 0.5
    """First of the two decays of their Adam."""


@dataclass
class Sample:
    """What the generator sees of a batch: x, the prepared faces, some mirrored, pixels in 0…1;
    code (n, codes), their own expressions and poses; expression, that part of it."""

    x: Tensor
    code: Tensor
    expression: Tensor


class JointPoseExpression(Baseline):
    """Trains :attr:`model` (C_exp, and the pose branch) with :attr:`G` (G_enc and G_dec),
    :attr:`D_att` and :attr:`D_i`."""

    options_type = JointPoseExpressionOptions
    values = ("generated",)
    methods: ClassVar = {
        "joint_0n": Method("joint model, 0N", values={"generated": 0}),
        "joint_5n": Method("joint model, 5N", values={"generated": 5}),
    }
    makers = ("model", "G")
    renamed: ClassVar = {
        "generator.encoder": "G.G_enc",
        "generator.decoder": "G.G_dec",
        "generator": "G",
        "attributes": "D_att",
        "prior": "D_i",
    }

    def __init__(self, options: JointPoseExpressionOptions, classes: tuple[str, ...]):
        super().__init__(options, classes)
        self.codes = AttributeCodes(classes, options.signed)
        if not options.generated:
            return
        spec = self.model.expression.encoder.spec
        width, picture = options.decoder_width or spec.width, (spec.channels, spec.size)
        self.G = Generator(options.identity_dim, self.codes.length, *picture, width)
        self.D_att = AttributeDiscriminator(self.codes.length, *picture)
        self.D_i = IdentityDiscriminator(options.identity_dim)
        self.networks.update({"G": self.G, "D_att": self.D_att, "D_i": self.D_i})

    def wrap(self, fabric) -> None:
        super().wrap(fabric)
        if self.options.generated:
            networks = self.G, self.D_att, self.D_i
            self.G, self.D_att, self.D_i = map(fabric.setup_module, networks)

    def updates(self) -> dict[str, Update]:
        # Neither a schedule nor clipping: the paper has none.
        rate, betas = self.options.generator_rate, (self.options.momentum, 0.999)
        return super().updates() | {
            name: Update(network.parameters(), rate, None, None, betas=betas)
            for name, network in self.networks.items()
            if name != "model"
        }

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One update of each network, in the order of section 3.2: D_att, D_i, C_exp, G."""
        if not self.options.generated:
            return super().step(batch)
        sample = self._see(batch)
        with torch.no_grad():
            made, f = self.G(sample.x, sample.code)
        losses = self.update_D_att(sample, made)
        losses |= self.update_D_i(f)
        losses |= self.update_C_exp(batch, f)
        return losses | self.update_G(sample)

    def update_D_att(self, sample: Sample, made: Tensor) -> dict[str, Tensor]:
        """D_att on eq. 3. Real and made faces are one batch to its batch normalisation."""
        faces, codes = torch.cat([sample.x, made]), sample.code.repeat(2, 1)
        value = attribute_value(*self.D_att(faces, codes).chunk(2))
        self.descend("D_att", -value)
        return {"attributes": -value}

    def update_D_i(self, f: Tensor) -> dict[str, Tensor]:
        """D_i on eq. 4; the prior is uniform from −1 to 1."""
        uniform = torch.rand_like(f) * 2 - 1
        value = identity_value(*self.D_i(torch.cat([uniform, f])).chunk(2))
        self.descend("D_i", -value)
        return {"prior": -value}

    def update_C_exp(self, batch: Batch, f: Tensor) -> dict[str, Tensor]:
        """C_exp on eq. 5, and the pose branch on its own loss: the baseline's step, with the
        gradients of the generated faces there already.

        They come as many at a time as there are real ones, which bounds the memory. Batch
        normalisation remembers the real ones alone: those are what inference sees.
        """
        count, errors = self.options.generated, []
        with statistics_kept(self.model.expression):
            for _ in range(count):
                pixels, target = self._generated(f)
                error = soft_cross_entropy(self.expression(pixels), target)
                self.fabric.backward(classifier_term(error, count))
                errors.append(error.detach())
        return super().step(batch) | {"generated": sum(errors) / count}

    def total(self, losses: dict[str, Tensor]) -> Tensor:
        """The real faces' term of eq. 5, and the losses of the pose branch beside it."""
        real = classifier_term(losses["expression"], self.options.generated)
        return super().total(losses | {"expression": real})

    def update_G(self, sample: Sample) -> dict[str, Tensor]:
        """G on its part of eq. 7, with both discriminators and C_exp fixed. All faces are made
        with their own codes, as equations 3, 5 and 6 have it."""
        α, β = self.options.alpha, self.options.beta
        made, f = self.G(sample.x, sample.code)
        networks = self.plain("D_att"), self.plain("D_i"), self.model.expression
        with ExitStack() as stack:
            D_att, D_i, C_exp = (stack.enter_context(fixed(network)) for network in networks)
            stack.enter_context(self.fabric.autocast())
            L_con = content_loss(sample.x, made) if α else 0.0
            TV = variation_loss(made) if β else 0.0
            L_c = soft_cross_entropy(C_exp(made), sample.expression)
            L_adv_att = deceiving_loss(D_att(made, sample.code))
            L_adv_i = deceiving_loss(D_i(f))
        self.descend("G", α * L_con + β * TV + L_c + L_adv_att + L_adv_i)
        return used(
            content=L_con,
            variation=TV,
            made_expression=L_c,
            deceive_attributes=L_adv_att,
            deceive_identity=L_adv_i,
        )

    def _see(self, batch: Batch) -> Sample:
        x = self.model.expression_input(batch.faces)
        mirror = torch.rand(len(x), device=x.device) < 0.5
        x = torch.where(mirror[:, None, None, None], x.flip(3), x)
        yaw = torch.where(mirror, -1, 1) * batch.pose[:, 0]
        code = self.codes(batch.label, self.codes.pose_class(yaw), batch.pose_known)
        return Sample(x, code, code[:, : len(self.codes.expressions)])

    @torch.no_grad()
    def _generated(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """Faces of these identities with codes drawn at random, augmented and mixed as the real
        ones are, and their expressions (n, classes)."""
        code, target = self.codes.drawn(len(f), f.device)
        with self.fabric.autocast():
            pixels = self.plain("G").G_dec(f, code).float()
        pixels, _ = self.augment(pixels, pixels.new_zeros(len(f), 3))
        return mixup(pixels, target, self.options.mixup)

    @torch.no_grad()
    def synthesise(self, faces: Tensor, codes: Tensor) -> np.ndarray:
        """Faces of the same people with other codes: float (n, m, channels, size, size), 0 to 1.

        faces: uint8 (n, 112, 112, channels); codes: (m, codes), each for all of them.
        """
        G = self.plain("G")
        f = G.G_enc(self.model.expression_input(faces))
        pairs = f.repeat_interleave(len(codes), dim=0), codes.repeat(len(f), 1)
        made = G.G_dec(*pairs)
        return made.unflatten(0, (len(f), len(codes))).float().cpu().numpy()

    def picture(self, data: PreparedFaces, extra: Arrays | None, path: Path) -> None:
        """Eight validation faces, and what G makes of them with each expression, seen from the
        front."""
        if not self.options.generated:
            return
        faces = self.examples(data).faces
        expression = torch.arange(len(data.classes), device=faces.device)
        frontal = self.codes.pose_class(torch.zeros(len(expression), device=faces.device))
        made = self.synthesise(faces, self.codes(expression, frontal))
        columns = {"input": self.model.expression_input(faces).cpu().numpy()}
        columns |= dict(zip(data.classes, made.swapaxes(0, 1), strict=True))
        save_figure(plot_faces(columns), path)

    def made(self, faces: Tensor, label: Tensor, first: int = 0) -> Iterator[Made]:
        """Every expression under every pose; a class of poses stands for the middle of its 10°, and
        of unsigned ones it is not said to which side they turn."""
        codes = self.codes.every()
        expression, pose = codes.split([len(self.codes.expressions), self.codes.poses], dim=1)
        turned = torch.tensor([0.0, *(edge + 5 for edge in YAW_BIN_EDGES)])
        yaw = torch.cat([-turned.flip(0)[:-1], turned])[pose.argmax(dim=1)]
        yield Made("input", self.model.expression_input(faces), label)
        for face in faces.split(1):
            made = torch.from_numpy(self.synthesise(face, codes)[0])
            told = yaw if self.codes.signed else None
            yield Made("every code", made, expression.argmax(dim=1), told)


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


def _adversarial_value(real: Tensor, fake: Tensor) -> Tensor:
    # log(1 − sigmoid(z)) = logsigmoid(−z)
    return F.logsigmoid(real.float()).mean() + F.logsigmoid(-fake.float()).mean()
