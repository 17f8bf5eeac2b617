"""Joint pose and expression modelling: Zhang, Zhang, Mao and Xu, CVPR 2018.

A generator takes a face apart into an identity representation and codes of expression and pose,
and makes faces of the same person with other codes. The classifier learns from real and generated
faces. Only the classifier is kept, with the pose branch of the baseline.

Equations 3 to 7 are the functions of train.recipes.joint_pose_expression_equations, and each
update of :meth:`JointPoseExpression.step` belongs to one of them. Without generated faces (0N in
the paper's Figure 5) nothing but the baseline is left, bit for bit. What the paper leaves open is
decided in train/README.md and said here where it is done.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from train.data.batches import Batch, FaceDataset
from train.data.examples import examples
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
from train.recipes.baseline import Baseline, BaselineOptions, mixup, soft_cross_entropy
from train.recipes.ipd_fer import fixed
from train.recipes.joint_pose_expression_equations import (
    attribute_value,
    classifier_term,
    content_loss,
    deceiving_loss,
    generator_loss,
    identity_value,
    variation_loss,
)
from train.recipes.recipe import load_states, states


@dataclass(frozen=True)
class JointPoseExpressionOptions(BaselineOptions):
    """Hyper-parameters of joint pose and expression modelling: the baseline's, for the classifier
    and the pose branch, and those of the generator and its discriminators."""

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

    def weights(self) -> dict[str, float]:
        """Weights of equation 7, by the names of the losses."""
        return {
            "content": self.alpha,
            "variation": self.beta,
            "made_expression": 1.0,
            "deceive_attributes": 1.0,
            "deceive_identity": 1.0,
        }


@contextmanager
def statistics_kept(network: nn.Module):
    """Inside, batch normalisation goes by the batch, but does not remember it."""
    norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield network
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


@dataclass
class Sample:
    """What the generator sees of a batch: x, the prepared faces, some mirrored, pixels in 0…1;
    code (n, codes), their own expressions and poses; expression, that part of it."""

    x: Tensor
    code: Tensor
    expression: Tensor


class JointPoseExpression(Baseline):
    """Trains :attr:`model` (C_exp, and the pose branch) with :attr:`generator` (G),
    :attr:`attributes` (D_att) and :attr:`prior` (D_i)."""

    options_type = JointPoseExpressionOptions

    def __init__(self, options: JointPoseExpressionOptions, classes: tuple[str, ...]):
        super().__init__(options, classes)
        self.codes = AttributeCodes(classes, options.signed)
        spec = self.model.expression.encoder.spec
        width, picture = options.decoder_width or spec.width, (spec.channels, spec.size)
        self.generator = Generator(options.identity_dim, self.codes.length, *picture, width)
        self.attributes = AttributeDiscriminator(self.codes.length, *picture)
        self.prior = IdentityDiscriminator(options.identity_dim)
        self.networks = nn.ModuleDict(
            {"generator": self.generator, "attributes": self.attributes, "prior": self.prior}
        )

    def setup(self, fabric, steps: int) -> None:
        super().setup(fabric, steps)
        options = self.options
        self.networks.to(fabric.device, memory_format=torch.channels_last)
        self.generate, self.judge_attributes, self.judge_identity = map(
            fabric.setup_module, self.networks.values()
        )
        self.optimizers = {
            name: fabric.setup_optimizers(
                torch.optim.Adam(
                    network.parameters(), options.generator_rate, (options.momentum, 0.999)
                )
            )
            for name, network in self.networks.items()
        }

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One update of each network, in the order of section 3.2: D_att, D_i, C_exp, G."""
        if not self.options.generated:
            return super().step(batch)
        sample = self._see(batch)
        with torch.no_grad():
            made, f = self.generate(sample.x, sample.code)
        losses = self.update_attributes(sample, made)
        losses |= self.update_prior(f)
        losses |= self.update_classifier(batch, f)
        return losses | self.update_generator(sample)

    def update_attributes(self, sample: Sample, made: Tensor) -> dict[str, Tensor]:
        """D_att on eq. 3. Real and made faces are one batch to its batch normalisation."""
        faces, codes = torch.cat([sample.x, made]), sample.code.repeat(2, 1)
        value = attribute_value(*self.judge_attributes(faces, codes).chunk(2))
        self._descend("attributes", -value)
        return {"attributes": -value}

    def update_prior(self, f: Tensor) -> dict[str, Tensor]:
        """D_i on eq. 4; the prior is uniform from −1 to 1."""
        uniform = torch.rand_like(f) * 2 - 1
        value = identity_value(*self.judge_identity(torch.cat([uniform, f])).chunk(2))
        self._descend("prior", -value)
        return {"prior": -value}

    def update_classifier(self, batch: Batch, f: Tensor) -> dict[str, Tensor]:
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

    def update(self, losses: dict[str, Tensor]) -> None:
        real = classifier_term(losses["expression"], self.options.generated)
        super().update(losses | {"expression": real})

    def update_generator(self, sample: Sample) -> dict[str, Tensor]:
        """G on its part of eq. 7, with both discriminators and C_exp fixed. All faces are made
        with their own codes, as equations 3, 5 and 6 have it."""
        made, f = self.generate(sample.x, sample.code)
        with ExitStack() as stack:
            for network in (self.attributes, self.prior, self.model.expression):
                stack.enter_context(fixed(network))
            stack.enter_context(self.fabric.autocast())
            losses = {
                "content": content_loss(sample.x, made),
                "variation": variation_loss(made),
                "made_expression": soft_cross_entropy(
                    self.model.expression(made), sample.expression
                ),
                "deceive_attributes": deceiving_loss(self.attributes(made, sample.code)),
                "deceive_identity": deceiving_loss(self.prior(f)),
            }
            self._descend("generator", generator_loss(losses, self.options.weights()))
        return losses

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
            pixels = self.generator.decode(f, code).float()
        pixels, _ = self.augment(pixels, pixels.new_zeros(len(f), 3))
        return mixup(pixels, target, self.options.mixup)

    def _descend(self, name: str, loss: Tensor) -> None:
        self.fabric.backward(loss)
        self.optimizers[name].step()
        self.optimizers[name].zero_grad()

    @torch.no_grad()
    def synthesise(self, faces: Tensor, codes: Tensor) -> np.ndarray:
        """Faces of the same people with other codes: float (n, m, channels, size, size), 0 to 1.

        faces: uint8 (n, 112, 112, channels); codes: (m, codes), each for all of them.
        """
        # The plain module, not that of setup: of several processes only one draws.
        f = self.generator.encoder(self.model.expression_input(faces))
        pairs = f.repeat_interleave(len(codes), dim=0), codes.repeat(len(f), 1)
        made = self.generator.decode(*pairs)
        return made.unflatten(0, (len(f), len(codes))).float().cpu().numpy()

    def picture(self, data: PreparedFaces, extra: np.ndarray | None, path: Path) -> None:
        """Eight validation faces, and what G makes of them with each expression, seen from the
        front."""
        if not self.options.generated:
            return
        device = self.fabric.device
        dataset = FaceDataset(data, examples(data, data.rows("validation")))
        faces = dataset.__getitems__(range(len(dataset))).faces.to(device)
        expression = torch.arange(len(data.classes), device=device)
        frontal = self.codes.pose_class(torch.zeros(len(expression), device=device))
        made = self.synthesise(faces, self.codes(expression, frontal))
        columns = {"input": self.model.expression_input(faces).cpu().numpy()}
        columns |= dict(zip(data.classes, made.swapaxes(0, 1)))
        save_figure(plot_faces(columns), path)

    def state(self) -> dict:
        if not self.options.generated:
            return super().state()
        return super().state() | {
            "networks": self.networks.state_dict(),
            "optimizers": states(self.optimizers),
        }

    def load_state(self, state: dict) -> None:
        super().load_state(state)
        if self.options.generated:
            self.networks.load_state_dict(state["networks"])
            load_states(self.optimizers, state["optimizers"])
