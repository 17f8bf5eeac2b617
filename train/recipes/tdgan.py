"""TDGAN: Xie, Hu and Chen, "Facial Expression Recognition With Two-Branch Disentangled Generative
Adversarial Network".

Of a face I_f and of an expression I_e, each from a data set of its own, G makes I_g: the face of
the one with the expression of the other. D_f has to see the person in it, D_e the expression, and
both inputs have to be made again of it. What E_e has to know of an expression for that is all that
M_ER learns to recognise it by. E_e and M_ER are kept, with the pose branch of the baseline.

Equations 2 to 4 are train.networks.tdgan.Generator, 5 to 12 the functions of
train.recipes.tdgan_equations. What the paper leaves open is decided in train/README.md and said
here where it is done.
"""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from train.data.augmentation import Augmenter
from train.data.batches import Batch
from train.data.examples import examples
from train.data.people import People
from train.data.prepared import PreparedFaces, read_prepared
from train.errors import UserError
from train.files import save_figure
from train.networks.encoders import build_encoder
from train.networks.face_model import Architecture
from train.networks.identity import load_identity
from train.networks.tdgan import Generated, TdganBranch, build_generator
from train.options import BelowOne, Count, NotNegative, Positive
from train.plots import plot_transfer
from train.recipes.baseline import Baseline, BaselineOptions, majority, pose_error, yaw_bin_error
from train.recipes.ipd_fer import fixed
from train.recipes.joint_pose_expression import statistics_kept
from train.recipes.recipe import load_states, states
from train.recipes.schedules import make_schedule
from train.recipes.tdgan_equations import (
    classification_loss,
    consistency_loss,
    expression_value,
    face_value,
    generator_loss,
    log_likelihood,
    perceptual_loss,
    recognition_loss,
)

PICTURED = 6
"""Faces and expressions in the grid after an epoch."""


@dataclass(frozen=True)
class TdganOptions(BaselineOptions):
    """Hyper-parameters of TDGAN: the paper's where it gives one, and the baseline's for M_ER and
    the pose branch."""

    network: str = "inception-56"
    """Encoder of both branches and of both discriminators; the paper's is inception."""
    faces: Path | None = None
    """Folder that `prepare people` wrote: the faces that get other expressions."""
    gan: bool = True
    """Without: CNN-Base, the same encoder and M_ER trained from end to end. Needs no --faces."""
    dic: bool = True
    """Use dual image consistency, L_D; without, TDGAN-D of Table V."""
    lambda_gf: NotNegative = 0.2
    """Weight of D_f in L_C: I_g shows the person of I_f."""
    lambda_ge: NotNegative = 0.8
    """Weight of D_e in L_C: I_g shows the expression of I_e."""
    lambda_d: NotNegative = 5.0
    """Weight of L_D: I_f and I_e can be made again of I_g."""
    lambda_p: NotNegative = 1.0
    """Weight of L_P: I_g has the representation of I_f."""
    perceptual: str | None = None
    """Take L_P of the features of a frozen recognition network, named as --identity of ipd_fer,
    instead of those of E_f."""
    decoder_width: Count | None = None
    """Of the decoder, whose channels fall by half from 8 times this on; by default the paper's
    64."""
    generator_rate: Positive = 2e-4
    """Learning rate of G, D_f and D_e; it follows --schedule."""
    momentum: BelowOne = 0.5
    """First of the two decays of their Adam."""
    judge_every: Count = 5
    """Update D_f at every so many-th step only, lest it leaves G behind."""
    mixup: NotNegative = 0.0
    """Parameter of mixup's Beta distribution for CNN-Base, 0 for none."""


@dataclass
class Sample:
    """n pairs: pixels I_f and I_e in 0…1, augmented; person: int64 (n,), who I_f shows;
    expression: that of I_e as a distribution (n, classes)."""

    i_f: Tensor
    i_e: Tensor
    person: Tensor
    expression: Tensor


class Tdgan(Baseline):
    """Trains :attr:`model` (E_e, M_ER and the pose branch) with :attr:`generator` (G, which has
    E_e in it), :attr:`judge_f` (D_f) and :attr:`judge_e` (D_e)."""

    options_type = TdganOptions

    @classmethod
    def architecture(cls, options: TdganOptions, classes: int) -> Architecture:
        """The usual model with M_ER in the place of its classifier."""
        return dataclasses.replace(super().architecture(options, classes), head="tdgan")

    def __init__(self, options: TdganOptions, classes: tuple[str, ...]):
        super().__init__(options, classes)
        self.identity = None
        if not options.gan:
            return
        if options.faces is None:
            raise UserError(
                "TDGAN needs --faces: make them of a folder for each person with `python -m train "
                "prepare people`. Only --no-gan goes without."
            )
        if options.mixup:
            raise UserError("TDGAN transfers whole expressions: --mixup is for --no-gan alone.")
        self.face_data = read_prepared(options.faces)
        self.people = People(self.face_data)
        e_e = self.model.expression.encoder
        self.generator = build_generator(options.network, e_e, options.decoder_width)
        self.judge_f, self.judge_e = (
            TdganBranch(build_encoder(options.network), outputs, options.dropout)
            for outputs in (self.people.count + 1, len(classes))
        )
        self.networks = nn.ModuleDict(
            {"generator": self.generator, "judge_f": self.judge_f, "judge_e": self.judge_e}
        )
        if options.perceptual:
            self.identity = load_identity(options.perceptual)
        # Of the looks of I_f nothing is changed: what is erased there would have to be in I_g.
        self.augment_faces = Augmenter(replace(options.augmentation, light=0, erase=0, blur=0))

    def setup(self, fabric, steps: int) -> None:
        super().setup(fabric, steps)
        options = self.options
        if not options.gan:
            return
        self.networks.to(fabric.device, memory_format=torch.channels_last)
        if self.identity:
            self.identity.to(fabric.device)
        self.generate, self.see_person, self.see_expression = map(
            fabric.setup_module, self.networks.values()
        )
        self.optimizers, self.schedules = {}, {}
        for name, network in self.networks.items():
            betas = options.momentum, self.betas[1]
            optimizer = torch.optim.Adam(network.parameters(), options.generator_rate, betas)
            self.schedules[name] = make_schedule(options.schedule, optimizer, steps, momentum=False)
            self.optimizers[name] = fabric.setup_optimizers(optimizer)

    def learners(self) -> tuple[nn.Module, nn.Module]:
        """Without GAN all of both branches; with it, M_ER alone of the expression branch."""
        expression = self.model.expression
        return expression.classifier if self.options.gan else expression, self.model.pose

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One update of D_f and D_e on eq. 5, of M_ER on eq. 10, of G on eq. 9."""
        if not self.options.gan:
            return super().step(batch)
        self.networks.train()
        sample, pose = self._see(batch)
        made = self.generate(sample.i_f, sample.i_e, self.generator.noise(sample.i_f))
        losses = self.update_expression_judge(sample)
        losses |= self.update_face_judge(sample, made.image.detach())
        losses |= self.update_recognition(sample, made.d_e, batch, pose)
        losses |= self.update_generator(sample, made)
        for schedule in self.schedules.values():
            schedule.step()
        return losses

    def update_expression_judge(self, sample: Sample) -> dict[str, Tensor]:
        """D_e on L_e of eq. 5: real expressions alone."""
        loss = -expression_value(self.see_expression(sample.i_e), sample.expression)
        self._descend("judge_e", loss)
        return {"judge_e": loss}

    def update_face_judge(self, sample: Sample, i_g: Tensor) -> dict[str, Tensor]:
        """D_f on L_f of eq. 5, at every so many-th step. Real and made faces are one batch to it.

        The loss is multiplied by so many, that its mean over the steps is that of the updates.
        """
        every = self.options.judge_every
        if self.schedules["judge_f"].last_epoch % every:
            return {"judge_f": i_g.new_zeros(())}
        real, made = self.see_person(torch.cat([sample.i_f, i_g])).chunk(2)
        loss = -face_value(real, sample.person, made)
        self._descend("judge_f", loss)
        return {"judge_f": loss.detach() * every}

    def update_recognition(
        self, sample: Sample, d_e: Tensor, batch: Batch, pose: Tensor
    ) -> dict[str, Tensor]:
        """M_ER on L_ER, whose gradient ends at d_e, and the pose branch on its own losses."""
        yaw_logits, angles = self.pose(self.model.pose_pixels(sample.i_e))
        losses = {
            "expression": recognition_loss(self.expression(d_e.detach()), sample.expression),
            "yaw_bin": yaw_bin_error(yaw_logits, batch.yaw_bin, batch.pose_known),
            "pose": pose_error(angles, pose, batch.pose_known),
        }
        self.update(losses)
        return losses

    def update_generator(self, sample: Sample, made: Generated) -> dict[str, Tensor]:
        """G on L_G, eq. 9, with both discriminators fixed."""
        options = self.options
        with ExitStack() as stack:
            judges = [stack.enter_context(fixed(each)) for each in (self.judge_f, self.judge_e)]
            stack.enter_context(self.fabric.autocast())
            on_person, on_expression = (judge(made.image) for judge in judges)
        on_person = log_likelihood(on_person, sample.person)
        on_expression = log_likelihood(on_expression, sample.expression)
        weights = options.lambda_gf, options.lambda_ge
        l_c = classification_loss(on_person, on_expression, weights)
        with statistics_kept(self.generator):
            l_d = self._consistency(sample, made.image) if options.dic else None
            l_p = self._perceptual(sample, made)
        self._descend("generator", generator_loss(l_c, 0.0 if l_d is None else l_d, l_p))
        losses = {"person_of_made": -on_person, "expression_of_made": -on_expression}
        return losses | ({} if l_d is None else {"consistency": l_d}) | {"perceptual": l_p}

    def _consistency(self, sample: Sample, i_g: Tensor) -> Tensor:
        """L_D. Both inputs are made again in one pass; batch normalisation, where the encoders have
        it, does not remember it."""
        pairs = torch.cat([i_g, sample.i_e]), torch.cat([sample.i_f, i_g])
        again = self.generate(*pairs, self.generator.noise(pairs[0])).image
        remade_f, remade_e = again.chunk(2)
        return consistency_loss(remade_f, sample.i_f, remade_e, sample.i_e, self.options.lambda_d)

    def _perceptual(self, sample: Sample, made: Generated) -> Tensor:
        """L_P, of E_f's representations or of the frozen network's features. Either is a yardstick:
        E_f learns nothing from it, for it could please it by seeing the same in all faces."""
        lambda_p = self.options.lambda_p
        if self.identity:
            with torch.no_grad():
                features = self.identity(sample.i_f)
            return perceptual_loss(features, self.identity(made.image), lambda_p)
        e_f = self.generator.faces.requires_grad_(False)
        with self.fabric.autocast():
            d_gf = e_f.maps(made.image)
        e_f.requires_grad_(True)
        return perceptual_loss(made.d_f.detach(), d_gf, lambda_p)

    def _see(self, batch: Batch) -> tuple[Sample, Tensor]:
        """Pairs, and the poses of I_e that hold after its augmentation."""
        look, options = self.model.expression_input, self.options
        i_e, pose = self.augment(look(batch.faces), batch.pose)
        faces, person = (each.to(i_e.device) for each in self.people.draw(len(i_e)))
        i_f, _ = self.augment_faces(look(faces), torch.zeros_like(batch.pose))
        expression = majority(batch) if options.hard_labels else batch.target
        return Sample(i_f, i_e, person, expression), pose

    def _descend(self, name: str, loss: Tensor) -> None:
        network, optimizer = self.networks[name], self.optimizers[name]
        self.fabric.backward(loss)
        self.fabric.clip_gradients(
            network, optimizer, max_norm=self.options.clip, error_if_nonfinite=False
        )
        optimizer.step()
        network.zero_grad()

    def picture(self, data: PreparedFaces, extra: np.ndarray | None, path: Path) -> None:
        """Some faces of the people, each with the expressions of some validation faces; faces that
        were not trained on, where there are any."""
        if not self.options.gan:
            return
        unseen = self.face_data.rows("validation", "test")
        rows = unseen if len(unseen) else self.people.rows
        chosen = (self.face_data, rows), (data, data.rows("validation"))
        i_f, i_e = (self._pixels(faces, examples(faces, rows, PICTURED)) for faces, rows in chosen)
        grid = self.generator.eval().transfer(i_f, i_e)
        save_figure(plot_transfer(*(each.cpu().numpy() for each in (i_f, i_e, grid))), path)

    def _pixels(self, data: PreparedFaces, rows: np.ndarray) -> Tensor:
        faces = torch.from_numpy(np.array(data.faces[rows])).to(self.fabric.device)
        return self.model.expression_input(faces)

    def state(self) -> dict:
        if not self.options.gan:
            return super().state()
        return super().state() | {
            "networks": self.networks.state_dict(),
            "optimizers": states(self.optimizers),
            "schedules": states(self.schedules),
        }

    def load_state(self, state: dict) -> None:
        super().load_state(state)
        if self.options.gan:
            self.networks.load_state_dict(state["networks"])
            load_states(self.optimizers, state["optimizers"])
            load_states(self.schedules, state["schedules"])
