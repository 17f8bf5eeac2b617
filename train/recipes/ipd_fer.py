"""IPD-FER: Jiang and Deng, "Disentangling Identity and Pose for Facial Expression Recognition".

A face is the sum of three features: f_id from a frozen recognition network, f_pose and f_exp from
two encoders that learn. G_dec turns f_id + f_pose into the neutral face of the same person in the
same pose, and f_id + f_pose + f_exp into the input. Only the two encoders and their heads are kept.

Equations 1 to 12 are the functions of train.recipes.ipd_fer_equations, Algorithm 1 is
:meth:`IpdFer.step`. What the paper leaves open, or prints in two ways, is decided in
train/README.md and said here where it is done.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from train.data.augmentation import Augmenter
from train.data.batches import Batch, FaceDataset
from train.data.examples import examples
from train.data.identity import identity_features
from train.data.prepared import PreparedFaces
from train.errors import UserError
from train.files import save_figure
from train.networks.decoder import Decoder
from train.networks.encoders import ENCODERS
from train.networks.face_model import ExpressionBranch, build_face_model
from train.networks.identity import load_identity
from train.networks.mobilefacenet import FEATURE_DIM
from train.plots import plot_faces
from train.recipes.baseline import majority, mixup, pose_error
from train.recipes.ipd_fer_equations import (
    classification_loss,
    confusion_loss,
    cosine_loss,
    expression_loss,
    generative_loss,
    generator_loss,
    identity_loss,
    neutral_loss,
    pose_loss,
    real_loss,
    reconstruction_loss,
    synthesis_loss,
)
from train.recipes.ipd_fer_options import IpdFerOptions
from train.recipes.recipe import Recipe, load_states, states
from train.recipes.schedules import make_schedule
from train.runs.initial import start_from


@contextmanager
def fixed(network: nn.Module):
    """Inside, the network's weights take no gradient and its statistics stay as they are."""
    network.requires_grad_(False).eval()
    try:
        yield network
    finally:
        network.requires_grad_(True).train()


@dataclass
class Sample:
    """A batch as the networks see it: x, augmented pixels in 0…1; real, what the generator is to
    make of them, the prepared faces, mirrored where x is; f_id (n, 512); target, the labels as
    distributions (n, classes); neutral, bool (n,); pose, yaw_bin and known as in Batch."""

    x: Tensor
    real: Tensor
    f_id: Tensor
    target: Tensor
    neutral: Tensor
    pose: Tensor
    yaw_bin: Tensor
    known: Tensor


class IpdFer(Recipe):
    """Trains :attr:`model` (E_exp, C_exp, E_pose, C_p) with :attr:`decoder` (G_dec),
    :attr:`discriminator` (D) and the frozen :attr:`identity` (E_id and N)."""

    options_type = IpdFerOptions
    feature_dim = FEATURE_DIM

    def __init__(self, options: IpdFerOptions, classes: tuple[str, ...]):
        if "neutral" not in classes:
            raise UserError("IPD-FER needs a class named neutral: its synthesised faces are that.")
        spec = _common_input(options.network, options.pose_network)
        self.options = options
        self.neutral = classes.index("neutral")
        self.model = build_face_model(self.architecture(options, len(classes)))
        width = options.decoder_width or spec.width
        self.decoder = Decoder(FEATURE_DIM, spec.channels, spec.size, width)
        self.discriminator = ExpressionBranch(options.network, len(classes), dropout=0.0)
        self.networks = nn.ModuleList([self.model, self.decoder, self.discriminator])
        self.identity = load_identity(options.identity)
        self.augment = Augmenter(options.augmentation)
        if options.initial:
            start_from(options.initial, self.model, self.discriminator)

    def prepare(self, data: PreparedFaces, folder: Path, fabric) -> np.ndarray:
        """f_id of every face."""
        return identity_features(self.identity, data, folder, fabric.device)

    def setup(self, fabric, steps: int) -> None:
        self.fabric = fabric
        self.networks.to(fabric.device, memory_format=torch.channels_last)
        self.identity.to(fabric.device)
        self.expression = fabric.setup_module(self.model.expression)
        self.pose = fabric.setup_module(self.model.pose)
        self.expression.mark_forward_method("describe")
        self.pose.mark_forward_method("describe")
        self.decode = fabric.setup_module(self.decoder)
        self.judge = fabric.setup_module(self.discriminator)
        self.optimizers, self.schedules = {}, {}
        for name, (parameters, decay) in self._updates().items():
            # With a weight decay of 0, AdamW is the paper's Adam.
            optimizer = torch.optim.AdamW(parameters, lr=self.options.rate, weight_decay=decay)
            self.schedules[name] = make_schedule(self.options.schedule, optimizer, steps)
            self.optimizers[name] = fabric.setup_optimizers(optimizer)

    def _updates(self) -> dict[str, tuple[list, float]]:
        """What each of the three updates changes, and its weight decay. The encoders are in two of
        them, each with moments of its own; they decay in one."""
        generator = [*self.model.expression.encoder.parameters(), *self.decoder.parameters()]
        if self.options.pose:
            generator += self.model.pose.encoder.parameters()
        updates = {"classifiers": (list(self.model.parameters()), self.options.decay)}
        if self.options.discriminator:
            updates["discriminator"] = (list(self.discriminator.parameters()), self.options.decay)
        return updates | {"generator": (generator, 0.0)}

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Lines 2 to 4 of Algorithm 1 on one batch."""
        self.networks.train()
        sample = self._see(batch)
        losses = self.update_classifiers(sample)
        if self.options.discriminator:
            losses |= self.update_discriminator(sample)
        losses |= self.update_generator(sample)
        for schedule in self.schedules.values():
            schedule.step()
        return losses

    def update_classifiers(self, sample: Sample) -> dict[str, Tensor]:
        """Line 2: E_pose, C_p, E_exp and C_exp on L_c + β1 L_cos; D and G_dec play no part.

        Mixup, where asked for, is here alone and mixes f_id along with the faces and labels: a
        mixed face is nobody's, so the generator must not learn to make it.
        """
        strength, f_id = self.options.mixup, sample.f_id
        x, target_and_id = mixup(sample.x, torch.cat([sample.target, f_id], dim=1), strength)
        target, f_id = target_and_id.split([sample.target.shape[1], FEATURE_DIM], dim=1)
        f_exp, logits = self.expression.describe(x)
        _, yaw_logits, angles = self.pose.describe(sample.x)
        losses = {"expression": expression_loss(logits, target)}
        losses |= self._pose_losses(yaw_logits, angles, sample)
        total = classification_loss(losses["expression"], losses["yaw_bin"] + losses["pose"])
        if self.options.cos:
            losses["cos"] = cosine_loss(f_id, f_exp)
            total = total + self.options.beta1 * losses["cos"]
        self._update("classifiers", total)
        return losses

    def update_discriminator(self, sample: Sample) -> dict[str, Tensor]:
        """Line 3: D on the real faces, eq. 8. Printed with L^f_exp, which would teach D to agree
        with the generator; section 3.3 has it on the real ones."""
        loss = real_loss(self.judge(sample.x), sample.target)
        self._update("discriminator", loss)
        return {"real": loss}

    def update_generator(self, sample: Sample) -> dict[str, Tensor]:
        """Line 4: E_pose, E_exp and G_dec on L_G; D, C_exp and C_p fixed (the last two take
        gradients here, which nobody applies)."""
        options = self.options
        f_exp, logits = self.expression.describe(sample.x)
        l_c, f_ip, losses = expression_loss(logits, sample.target), sample.f_id, {}
        if options.pose:
            f_pose, yaw_logits, angles = self.pose.describe(sample.x)
            l_pose = self._pose_losses(yaw_logits, angles, sample)
            l_c, f_ip = classification_loss(l_c, l_pose["yaw_bin"] + l_pose["pose"]), f_ip + f_pose
            if options.confusion:
                losses["confusion"] = confusion_loss(self.model.pose.classifier(f_exp))
        x_ip, x_ipe = self.decode(torch.cat([f_ip, f_ip + f_exp])).chunk(2)
        losses["reconstruction"] = reconstruction_loss(x_ipe, x_ip, sample.real, sample.neutral)
        if options.discriminator:
            losses |= self._fool(x_ip, x_ipe, sample)
        if options.id:
            # A batch is drawn at random, so these faces stand for all of it. Every so many-th step
            # would cost the same, but bring its gradient in bursts, which are then clipped.
            some = slice(None, None, options.identity_every)
            losses["identity"] = self._identity(x_ip[some], x_ipe[some], sample.real[some])
        cos = {"cos": cosine_loss(sample.f_id, f_exp)} if options.cos else {}
        generative = generative_loss(losses, options.lambdas())
        total = generator_loss(generative, l_c, losses | cos, options.betas())
        self._update("generator", total)
        return losses

    def _fool(self, x_ip: Tensor, x_ipe: Tensor, sample: Sample) -> dict[str, Tensor]:
        with fixed(self.discriminator) as discriminator, self.fabric.autocast():
            on_neutral, on_expressive = discriminator(torch.cat([x_ip, x_ipe])).chunk(2)
        return {
            "fake_neutral": neutral_loss(on_neutral, self.neutral),
            "fake_expression": synthesis_loss(on_expressive, sample.target),
        }

    def _identity(self, x_ip: Tensor, x_ipe: Tensor, x: Tensor) -> Tensor:
        # In full precision: bfloat16 turns the gradient through N by a quarter of its length.
        with torch.no_grad():
            n_x = self.identity(x)
        n_ip, n_ipe = self.identity(torch.cat([x_ip, x_ipe])).chunk(2)
        return identity_loss(n_ipe, n_ip, n_x)

    def _pose_losses(self, yaw_logits: Tensor, angles: Tensor, sample: Sample) -> dict[str, Tensor]:
        """Eq. 6, and the error of the three angles: our addition, as the application shows them."""
        return {
            "yaw_bin": pose_loss(yaw_logits, sample.yaw_bin, sample.known),
            "pose": pose_error(angles, sample.pose, sample.known),
        }

    def _see(self, batch: Batch) -> Sample:
        prepared = self.model.expression_input(batch.faces)
        x, pose = self.augment(prepared, batch.pose)
        real = self.augment.mirror_alike(prepared)
        target = majority(batch) if self.options.hard_labels else batch.target
        return Sample(
            x, real, batch.extra, target, batch.label == self.neutral,
            pose, batch.yaw_bin, batch.pose_known,
        )  # fmt: skip

    def _update(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        self.fabric.backward(loss)
        # What is not finite is reported by the loop, which knows of every recipe's losses.
        self.fabric.clip_gradients(
            self.networks, optimizer, max_norm=self.options.clip, error_if_nonfinite=False
        )
        optimizer.step()
        # Of all networks: an update leaves gradients in some that it does not change.
        self.networks.zero_grad()

    @torch.no_grad()
    def synthesise(self, faces: Tensor, f_id: Tensor) -> dict[str, np.ndarray]:
        """The columns of Figures 8 and 9, by title: float (n, channels, size, size), 0 to 1.

        faces: uint8 (n, 112, 112, channels); f_id: theirs (n, 512). ID-FER has no f_pose.
        """
        self.networks.eval()
        # Plain modules, not those of setup: of several processes only one draws.
        x = self.model.expression_input(faces)
        feature, columns = f_id, {"input": x, "f_id": self.decoder(f_id)}
        if self.options.pose:
            feature = feature + self.model.pose.encoder(x)
            columns["f_id + f_pose"] = self.decoder(feature)
        feature = feature + self.model.expression.encoder(x)
        columns["… + f_exp"] = self.decoder(feature)
        return {title: pixels.float().cpu().numpy() for title, pixels in columns.items()}

    def picture(self, data: PreparedFaces, extra: np.ndarray, path: Path) -> None:
        """Figure 9 on eight validation faces."""
        dataset = FaceDataset(data, examples(data, data.rows("validation")), extra)
        batch = dataset.__getitems__(range(len(dataset))).to(self.fabric.device)
        save_figure(plot_faces(self.synthesise(batch.faces, batch.extra)), path)

    def state(self) -> dict:
        return {
            "networks": self.networks.state_dict(),
            "optimizers": states(self.optimizers),
            "schedules": states(self.schedules),
        }

    def load_state(self, state: dict) -> None:
        self.networks.load_state_dict(state["networks"])
        load_states(self.optimizers, state["optimizers"])
        load_states(self.schedules, state["schedules"])


def _common_input(network: str, pose_network: str):
    """The spec of `network`; UserError unless both look at faces of one size and colour."""
    spec, pose_spec = (ENCODERS.get(name) for name in (network, pose_network))
    if not spec or not pose_spec:
        raise UserError(f"The networks are {', '.join(ENCODERS)}; not {network}, {pose_network}.")
    if (spec.size, spec.channels) != (pose_spec.size, pose_spec.channels):
        raise UserError(f"{network} and {pose_network} do not look at the same picture of a face.")
    return spec
