"""IPD-FER: Jiang and Deng, "Disentangling Identity and Pose for Facial Expression Recognition".

A face is the sum of three features: f_id from a frozen recognition network, f_pose and f_exp from
two encoders that learn. G_dec turns f_id + f_pose into the neutral face of the same person in the
same pose, and f_id + f_pose + f_exp into the input. Only the two encoders and their heads are kept.

Everything has the paper's name. E_exp with C_exp and E_pose with C_p are the branches of the model;
E_id and N are one network. Lines 2 to 4 of Algorithm 1 are the updates of :meth:`IpdFer.step`, with
the sums of equations 7, 11 and 12; the others are in ipd_fer_losses, the weights in
ipd_fer_options. What the paper leaves open, or prints in two ways, is decided in docs/choices.md
and said here where it is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from train.data.augmentation import Augmenter
from train.data.batches import Arrays, Batch
from train.data.identity import identity_features, identity_of
from train.data.prepared import PreparedFaces
from train.errors import UserError
from train.networks.decoder import Decoder
from train.networks.encoders import common_input
from train.networks.face_model import ExpressionBranch, build_face_model
from train.networks.identity import load_identity
from train.networks.mobilefacenet import FEATURE_DIM
from train.recipes.described import Made, Method
from train.recipes.ipd_fer_losses import (
    ahead_loss,
    confusion_loss,
    cosine_loss,
    expression_loss,
    identity_loss,
    neutral_loss,
    pose_loss,
    real_loss,
    reconstruction_loss,
    synthesis_loss,
    turn_loss,
)
from train.recipes.ipd_fer_options import IpdFerOptions
from train.recipes.losses import labels, mixup, pose_error, used
from train.recipes.recipe import Recipe, Update, fixed
from train.runs.initial import start_from

LOOKS_AHEAD = 8.0
"""Degrees of |yaw| below which a face looks ahead, for L_ahead."""


@dataclass
class Sample:
    """A batch as the networks see it: x, augmented pixels in 0…1; real, what G_dec is to make of
    them, the prepared faces, mirrored where x is; f_id (n, 512); y, the labels as distributions
    (n, classes); neutral, bool (n,); batch, the rest, of which the pose holds for x."""

    x: Tensor
    real: Tensor
    f_id: Tensor
    y: Tensor
    neutral: Tensor
    batch: Batch

    def looks_ahead(self) -> Tensor:
        """Neutral faces whose yaw is known and small, a sixth of FERPlus: bool (n,)."""
        yaw = self.batch.pose[:, 0].abs()
        return self.neutral & self.batch.pose_known & (yaw < LOOKS_AHEAD)


class IpdFer(Recipe):
    """Trains :attr:`model` (E_exp, C_exp, E_pose, C_p) with :attr:`G_dec`, :attr:`D` and the frozen
    :attr:`E_id`, which is :attr:`N` too."""

    options_type = IpdFerOptions
    feature_dim = FEATURE_DIM
    switches: ClassVar = {
        "pose": (), "confusion": ("beta2",), "cos": ("beta1",), "id": ("lambda3",),
        "discriminator": ("lambda1", "lambda2"),
    }  # fmt: skip
    methods: ClassVar = {
        "id_fer": Method("ID-FER", without=("pose",)),
        "ipd_fer": Method("IPD-FER"),
        "no_confusion": Method("IPD-FER without L_confusion", without=("confusion",)),
        "no_cos": Method("IPD-FER without L_cos", without=("cos",)),
        "no_id": Method("IPD-FER without L_id", without=("id",)),
        "no_discriminator": Method("IPD-FER without D", without=("discriminator",)),
    }
    makers = ("model", "G_dec")
    needs: ClassVar = {"identity": None}
    renamed: ClassVar = {
        "0": "model", "1": "G_dec", "2": "D", "discriminator": "D", "generator": "G",
    }  # fmt: skip

    def __init__(self, options: IpdFerOptions, classes: tuple[str, ...]):
        if "neutral" not in classes:
            raise UserError("IPD-FER needs a class named neutral: its synthesised faces are that.")
        super().__init__(options, classes)
        spec = common_input(options.network, options.pose_network)
        self.neutral = classes.index("neutral")
        self.model = build_face_model(self.architecture(options, len(classes)))
        width = options.decoder_width or spec.width
        self.G_dec: nn.Module = Decoder(
            FEATURE_DIM, spec.channels, spec.size, width, options.upsampling
        )
        self.D: nn.Module = ExpressionBranch(options.network, len(classes), dropout=0.0)
        self.networks = nn.ModuleDict({"model": self.model, "G_dec": self.G_dec, "D": self.D})
        self.E_id = self.N = load_identity(options.identity)
        self.augment = Augmenter(options.augmentation)
        if options.initial:
            start_from(options.initial, self.model, self.D, self.sample)

    def prepare(self, data: PreparedFaces, folder: Path, fabric) -> Arrays:
        return {"f_id": identity_features(self.E_id, data, folder, fabric.device)}

    def wrap(self, fabric) -> None:
        self.E_id.to(fabric.device)
        networks = self.model.expression, self.model.pose, self.G_dec, self.D
        self.expression, self.pose, self.G_dec, self.D = map(fabric.setup_module, networks)
        self.expression.mark_forward_method("describe")
        self.pose.mark_forward_method("describe")

    def updates(self) -> dict[str, Update]:
        """Those of Algorithm 1. The encoders are in two, each with its own moments; one decays."""
        options, model = self.options, self.model
        how = options.rate, options.schedule, options.clip
        G = [*model.expression.encoder.parameters(), *self.G_dec.parameters()]
        if options.pose:
            G += model.pose.encoder.parameters()
        found = {"classifiers": Update(model.parameters(), *how, options.decay)}
        λ1, λ2, *_ = options.lambdas()
        if λ1 or λ2:
            found["D"] = Update(self.D.parameters(), *how, options.decay)
        return found | {"G": Update(G, *how)}

    def setup(self, fabric, steps: int) -> None:
        super().setup(fabric, steps)
        self.identity_from = round(self.options.identity_from * steps)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Lines 2 to 4 of Algorithm 1 on one batch."""
        self.networks.train()
        sample = self._see(batch)
        losses = self.update_classifiers(sample) | self.update_D(sample) | self.update_G(sample)
        self.advance()
        return losses

    def update_classifiers(self, sample: Sample) -> dict[str, Tensor]:
        """Line 2: E_pose, C_p, E_exp and C_exp on L_c + β1 L_cos; D and G_dec play no part.

        Mixup, where asked for, is here alone and mixes f_id along with the faces and labels: a
        mixed face is nobody's, so G_dec must not learn to make it.
        """
        β1, _ = self.options.betas()
        y_and_f_id = torch.cat([sample.y, sample.f_id], dim=1)
        x, y_and_f_id = mixup(sample.x, y_and_f_id, self.options.mixup)
        y, f_id = y_and_f_id.tensor_split([sample.y.shape[1]], dim=1)
        f_exp, on_y = self.expression.describe(x)  # E_exp and C_exp
        _, L_pose, L_angles = self._see_pose(sample)  # E_pose and C_p
        L_exp = expression_loss(on_y, y)
        L_c = L_exp + (L_pose + L_angles)  # eq. 7
        L_cos = cosine_loss(f_id, f_exp) if β1 else 0.0
        self.descend("classifiers", L_c + β1 * L_cos)
        return used(expression=L_exp, yaw_bin=L_pose, pose=L_angles, cos=L_cos)

    def update_D(self, sample: Sample) -> dict[str, Tensor]:
        """Line 3, where anything needs D: on the real faces, eq. 8. Printed with L^f_exp, which
        would teach D to agree with the generator; section 3.3 has it on the real ones."""
        if "D" not in self.optimizers:
            return {}
        L_r_exp = real_loss(self.D(sample.x), sample.y)
        self.descend("D", L_r_exp)
        return {"real": L_r_exp}

    def update_G(self, sample: Sample) -> dict[str, Tensor]:
        """Line 4: E_pose, E_exp and G_dec on L_G; D, C_exp and C_p fixed (the last two take
        gradients here, which nobody applies). L_confusion has its β2 in L_G: the line prints
        L_G + β2 L_confusion, which would count it twice."""
        (λ1, λ2, λ3, λ4), (β1, β2) = self.options.lambdas(), self.options.betas()
        λ_turn, λ_ahead = self.options.lambda_turn(), self.options.lambda_ahead()
        f_id, C_p = sample.f_id, self.model.pose.classifier
        f_exp, on_y = self.expression.describe(sample.x)  # E_exp and C_exp
        L_c, f_ip = expression_loss(on_y, sample.y), f_id
        if self.options.pose:
            f_pose, L_pose, L_angles = self._see_pose(sample)  # E_pose and C_p
            L_c, f_ip = L_c + (L_pose + L_angles), f_id + f_pose  # eq. 7
        L_confusion = confusion_loss(C_p(f_exp)) if β2 else 0.0
        ahead = sample.looks_ahead() & (λ_ahead > 0)
        parts = f_ip, f_ip + f_exp, f_id[ahead]
        x_ip, x_ipe, x_i = self.G_dec(torch.cat(parts)).split([len(each) for each in parts])
        L_recon = reconstruction_loss(x_ipe, x_ip, sample.real, sample.neutral) if λ4 else 0.0
        L_f_neu, L_f_exp = self._by_D(x_ip, x_ipe, sample.y) if λ1 or λ2 else (0.0, 0.0)
        L_id = self._identity(x_ip, x_ipe, sample.real) if λ3 else 0.0
        L_cos = cosine_loss(f_id, f_exp) if β1 else 0.0
        L_turn = self._turned_alike(x_ip, sample.real) if λ_turn else 0.0
        L_ahead = ahead_loss(x_i, sample.real, ahead) if λ_ahead else 0.0
        L_G_ = λ1 * L_f_neu + λ2 * L_f_exp + λ3 * L_id + λ4 * L_recon  # eq. 11, L'_G
        L_G = L_G_ + L_c + β1 * L_cos + β2 * L_confusion  # eq. 12
        self.descend("G", L_G + λ_turn * L_turn + λ_ahead * L_ahead)
        return used(
            confusion=L_confusion, reconstruction=L_recon,
            fake_neutral=L_f_neu, fake_expression=L_f_exp, identity=L_id, turn=L_turn,
            ahead=L_ahead,
        )  # fmt: skip

    def _by_D(self, x_ip: Tensor, x_ipe: Tensor, y: Tensor) -> tuple[Tensor | float, ...]:
        """L^f_neu and L^f_exp, of which one whose weight is 0 is not computed."""
        λ1, λ2, *_ = self.options.lambdas()
        with fixed(self.plain("D")) as D, self.fabric.autocast():
            on_ip, on_ipe = D(torch.cat([x_ip, x_ipe])).chunk(2)
        L_f_neu = neutral_loss(on_ip, self.neutral) if λ1 else 0.0
        return L_f_neu, synthesis_loss(on_ipe, y) if λ2 else 0.0

    def _turned_alike(self, x_ip: Tensor, x: Tensor) -> Tensor:
        """L_turn: the angles that E_pose, fixed here, finds in x_ip and in the real face."""
        with fixed(self.model.pose) as E_pose, self.fabric.autocast():
            with torch.no_grad():
                *_, angles = E_pose(x)
            *_, made = E_pose(x_ip)
        return turn_loss(made, angles)

    def _identity(self, x_ip: Tensor, x_ipe: Tensor, x: Tensor) -> Tensor:
        """L_id of some of the faces; 0 as long as it does not count."""
        if self.schedules["G"].last_epoch < self.identity_from:
            return x.new_zeros(())
        # A batch is drawn at random, so these faces stand for all of it. Every so many-th step
        # would cost the same, but bring its gradient in bursts, which are then clipped.
        x_ip, x_ipe, x = (each[:: self.options.identity_every] for each in (x_ip, x_ipe, x))
        # In full precision: bfloat16 turns the gradient through N by a quarter of its length.
        with torch.no_grad():
            n_x = self.N(x)
        n_ip, n_ipe = self.N(torch.cat([x_ip, x_ipe])).chunk(2)
        return identity_loss(n_ipe, n_ip, n_x)

    def _see_pose(self, sample: Sample) -> tuple[Tensor, Tensor, Tensor]:
        """f_pose, eq. 6, and the error of the angles: our addition, as the application has them."""
        (f_pose, on_y_p, angles), batch = self.pose.describe(sample.x), sample.batch
        L_pose = pose_loss(on_y_p, batch.yaw_bin, batch.pose_known)
        return f_pose, L_pose, pose_error(angles, batch.pose, batch.pose_known)

    def _see(self, batch: Batch) -> Sample:
        prepared = self.model.expression_input(batch.faces)
        x, pose = self.augment(prepared, batch.pose)
        real = self.augment.mirror_alike(prepared)
        f_id, y = batch.extra["f_id"], labels(batch, self.options.hard_labels)
        return Sample(x, real, f_id, y, batch.label == self.neutral, replace(batch, pose=pose))

    @torch.no_grad()
    def made(self, faces: Tensor, label: Tensor, first: int = 0) -> Iterator[Made]:
        """The columns of Figures 8 and 9: f_id is to be neutral and frontal, with f_pose turned
        like the input, with f_exp the input. ID-FER has no f_pose."""
        self.networks.eval()
        x, G_dec = self.model.expression_input(faces), self.plain("G_dec")
        f_id, neutral = identity_of(self.E_id, faces), torch.full_like(label, self.neutral)
        f_ip = f_id + self.model.pose.encoder(x) if self.options.pose else f_id
        yield Made("input", x, label)
        yield Made("f_id", G_dec(f_id), neutral, torch.zeros(len(x)))
        if self.options.pose:
            yield Made("f_id + f_pose", G_dec(f_ip), neutral, x)
        yield Made("… + f_exp", G_dec(f_ip + self.model.expression.encoder(x)), label, x)
