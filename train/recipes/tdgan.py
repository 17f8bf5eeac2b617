"""TDGAN: Xie, Hu and Chen, "Facial Expression Recognition With Two-Branch Disentangled Generative
Adversarial Network".

Of a face I_f and of an expression I_e, each from a data set of its own, G makes I_g: the face of
the one with the expression of the other. D_f has to see the person in it, D_e the expression, and
both inputs have to be made again of it. What E_e has to know of an expression for that is all that
M_ER learns to recognise it by. E_e and M_ER are kept, with the pose branch of the baseline.

Equations 2 to 4 are train.networks.tdgan.Generator, 9 stands in :meth:`Tdgan.update_G`, the others
from 5 to 12 are the functions at the end; 1 is the GAN of Goodfellow et al. that it starts from.
Discriminators and M_ER give logits: D = softmax(logits). Classes come as numbers, int64 (n,), or as
distributions, float (n, classes). Expectations are means over faces, ‖·‖₁ over pixels or features.
What the paper leaves open is decided in docs/choices.md and said here where it is done.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.data.augmentation import Augmenter
from train.data.batches import Arrays, Batch
from train.data.examples import examples
from train.data.people import People
from train.data.prepared import PreparedFaces, read_prepared
from train.errors import UserError
from train.files import save_figure
from train.networks.encoders import build_encoder
from train.networks.face_model import Architecture
from train.networks.identity import load_identity
from train.networks.inception import INCEPTION
from train.networks.tdgan import Generated, TdganBranch, build_generator
from train.options import BelowOne, Count, NotNegative, Positive
from train.plots import plot_transfer
from train.recipes.baseline import Baseline, BaselineOptions
from train.recipes.described import Made, Method
from train.recipes.losses import labels, pose_error, used, yaw_bin_error
from train.recipes.recipe import Update, fixed, statistics_kept

PICTURED = 6
"""Faces and expressions in the grid after an epoch."""


@dataclass(frozen=True)
class TdganOptions(BaselineOptions):
    """Hyper-parameters of TDGAN: the paper's where it gives one, and the baseline's for M_ER and
    the pose branch. A weight of 0 takes a term out."""

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

    def lambdas(self) -> tuple[float, float, float, float]:
        """λ_Gf and λ_Ge of equation 6, λ_D of 7 and λ_P of 8."""
        return self.lambda_gf, self.lambda_ge, self.dic * self.lambda_d, self.lambda_p


@dataclass
class Sample:
    """n pairs: pixels I_f and I_e in 0…1, augmented; person: int64 (n,), who I_f shows;
    expression: that of I_e as a distribution (n, classes)."""

    i_f: Tensor
    i_e: Tensor
    person: Tensor
    expression: Tensor


class Tdgan(Baseline):
    """Trains :attr:`model` (E_e, M_ER and the pose branch) with :attr:`G`, which has E_e in it,
    :attr:`D_f` and :attr:`D_e`."""

    options_type = TdganOptions
    switches: ClassVar = {"gan": (), "dic": ("lambda_d",)}
    methods: ClassVar = {
        "tdgan_base": Method("TDGAN's CNN-Base", without=("gan",), networks=INCEPTION),
        "tdgan_no_dic": Method("TDGAN without DIC", without=("dic",), networks=INCEPTION),
        "tdgan": Method("TDGAN", networks=INCEPTION),
    }
    makers = ("model", "G")
    needs: ClassVar = {"faces": "gan"}
    renamed: ClassVar = {
        "generator.faces": "G.E_f",
        "generator.expressions": "G.E_e",
        "generator.embedding": "G.Emb",
        "generator.decoder": "G.D_g",
        "generator": "G",
        "judge_f": "D_f",
        "judge_e": "D_e",
    }

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
        self.G = build_generator(options.network, e_e, options.decoder_width)
        self.D_f, self.D_e = (
            TdganBranch(build_encoder(options.network), outputs, options.dropout)
            for outputs in (self.people.count + 1, len(classes))
        )
        self.networks.update({"G": self.G, "D_f": self.D_f, "D_e": self.D_e})
        if options.perceptual:
            self.identity = load_identity(options.perceptual)
        # Of the looks of I_f nothing is changed: what is erased there would have to be in I_g.
        self.augment_faces = Augmenter(replace(options.augmentation, light=0, erase=0, blur=0))

    def wrap(self, fabric) -> None:
        super().wrap(fabric)
        if self.identity:
            self.identity.to(fabric.device)
        if self.options.gan:
            self.G, self.D_f, self.D_e = map(fabric.setup_module, (self.G, self.D_f, self.D_e))

    def updates(self) -> dict[str, Update]:
        options = self.options
        how = options.generator_rate, options.schedule, options.clip
        betas = options.momentum, self.betas[1]
        return super().updates() | {
            name: Update(network.parameters(), *how, betas=betas, momentum=False)
            for name, network in self.networks.items()
            if name != "model"
        }

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
        made = self.G(sample.i_f, sample.i_e, self.plain("G").noise(sample.i_f))
        losses = self.update_D_e(sample)
        losses |= self.update_D_f(sample, made.image.detach())
        losses |= self.update_M_ER(sample, made.d_e, batch, pose)
        losses |= self.update_G(sample, made)
        self.advance()
        return losses

    def update_D_e(self, sample: Sample) -> dict[str, Tensor]:
        """D_e on L_e of eq. 5: real expressions alone."""
        loss = -expression_value(self.D_e(sample.i_e), sample.expression)
        self.descend("D_e", loss)
        return {"judge_e": loss}

    def update_D_f(self, sample: Sample, i_g: Tensor) -> dict[str, Tensor]:
        """D_f on L_f of eq. 5, at every so many-th step. Real and made faces are one batch to it.

        The loss is multiplied by so many, that its mean over the steps is that of the updates.
        """
        every = self.options.judge_every
        if self.schedules["D_f"].last_epoch % every:
            return {"judge_f": i_g.new_zeros(())}
        real, made = self.D_f(torch.cat([sample.i_f, i_g])).chunk(2)
        loss = -face_value(real, sample.person, made)
        self.descend("D_f", loss)
        return {"judge_f": loss.detach() * every}

    def update_M_ER(
        self, sample: Sample, d_e: Tensor, batch: Batch, pose: Tensor
    ) -> dict[str, Tensor]:
        """M_ER on L_ER, whose gradient ends at d_e, and the pose branch on its own losses."""
        yaw_logits, angles = self.pose(self.model.pose_pixels(sample.i_e))
        losses = {
            "expression": recognition_loss(self.expression(d_e.detach()), sample.expression),
            "yaw_bin": yaw_bin_error(yaw_logits, batch.yaw_bin, batch.pose_known),
            "pose": pose_error(angles, pose, batch.pose_known),
        }
        self.descend("model", self.total(losses))
        return losses

    def update_G(self, sample: Sample, made: Generated) -> dict[str, Tensor]:
        """G on L_G, eq. 9, with both discriminators fixed."""
        λ_Gf, λ_Ge, λ_D, λ_P = self.options.lambdas()
        with ExitStack() as stack:
            D_f, D_e = (stack.enter_context(fixed(self.plain(name))) for name in ("D_f", "D_e"))
            stack.enter_context(self.fabric.autocast())
            on_person = log_likelihood(D_f(made.image), sample.person) if λ_Gf else 0.0
            on_expression = log_likelihood(D_e(made.image), sample.expression) if λ_Ge else 0.0
        L_C = classification_loss(on_person, on_expression, (λ_Gf, λ_Ge))
        with statistics_kept(self.plain("G")):
            L_D = self._consistency(sample, made.image) if λ_D else 0.0
            L_P = self._perceptual(sample, made) if λ_P else 0.0
        self.descend("G", L_C + L_D + L_P)  # type: ignore[arg-type]  # not all are left out
        made_as_meant = {"person_of_made": -on_person, "expression_of_made": -on_expression}
        return used(**made_as_meant, consistency=L_D, perceptual=L_P)

    def _consistency(self, sample: Sample, i_g: Tensor) -> Tensor:
        """L_D. Both inputs are made again in one pass; batch normalisation, where the encoders have
        it, does not remember it."""
        pairs = torch.cat([i_g, sample.i_e]), torch.cat([sample.i_f, i_g])
        again = self.G(*pairs, self.plain("G").noise(pairs[0])).image
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
        e_f = self.plain("G").E_f.requires_grad_(False)
        with self.fabric.autocast():
            d_gf = e_f.maps(made.image)
        e_f.requires_grad_(True)
        return perceptual_loss(made.d_f.detach(), d_gf, lambda_p)

    def _see(self, batch: Batch) -> tuple[Sample, Tensor]:
        """Pairs, and the poses of I_e that hold after its augmentation."""
        look = self.model.expression_input
        i_e, pose = self.augment(look(batch.faces), batch.pose)
        faces, person = (each.to(i_e.device) for each in self.people.draw(len(i_e)))
        i_f, _ = self.augment_faces(look(faces), torch.zeros_like(batch.pose))
        expression = labels(batch, self.options.hard_labels)
        return Sample(i_f, i_e, person, expression), pose

    def picture(self, data: PreparedFaces, extra: Arrays | None, path: Path) -> None:
        """Some faces of the people, each with the expressions of some validation faces; faces that
        were not trained on, where there are any."""
        if not self.options.gan:
            return
        unseen = self.face_data.rows("validation", "test")
        rows = unseen if len(unseen) else self.people.rows
        chosen = (self.face_data, rows), (data, data.rows("validation"))
        i_f, i_e = (self._pixels(faces, examples(faces, rows, PICTURED)) for faces, rows in chosen)
        grid = self.plain("G").eval().transfer(i_f, i_e)
        save_figure(plot_transfer(*(each.cpu().numpy() for each in (i_f, i_e, grid))), path)

    @torch.no_grad()
    def made(self, faces: Tensor, label: Tensor, first: int = 0) -> Iterator[Made]:
        """Each expression on a validation face of the people, in turn, turned like that face."""
        rows = self.face_data.rows("validation")
        if not len(rows):
            raise UserError(f"{self.options.faces} has no validation faces.")
        turn = rows[np.arange(first, first + len(faces)) % len(rows)]
        look, G = self.model.expression_input, self.plain("G")
        i_f, i_e = look(torch.from_numpy(np.array(self.face_data.faces[turn]))), look(faces)
        yield Made("input", i_e, label)
        i_g = G(i_f, i_e, G.still_noise(i_e)).image.float()
        yield Made("transferred", i_g, label, i_f)

    def _pixels(self, data: PreparedFaces, rows: np.ndarray) -> Tensor:
        faces = torch.from_numpy(np.array(data.faces[rows])).to(self.fabric.device)
        return self.model.expression_input(faces)


def face_value(real: Tensor, person: Tensor, made: Tensor) -> Tensor:
    """L_f of eq. 5, what D_f maximises: logits (n, K_f + 1) of I_f, who shows `person`, and of
    I_g, which is to be called the last class, fake."""
    fake = person.new_full((len(made),), made.shape[1] - 1)
    return log_likelihood(real, person) + log_likelihood(made, fake)


def expression_value(real: Tensor, expression: Tensor) -> Tensor:
    """L_e of eq. 5, what D_e maximises: logits (n, K_e) of I_e alone, never of I_g."""
    return log_likelihood(real, expression)


def classification_loss(
    on_person: Tensor | float, on_expression: Tensor | float, weights: tuple[float, float]
) -> Tensor | float:
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
