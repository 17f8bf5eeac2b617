"""IPD-FER: Jiang and Deng, "Disentangling Identity and Pose for Facial Expression Recognition".

A face is the sum of three features: f_id from a frozen recognition network, f_pose and f_exp from
two encoders that learn. G_dec turns f_id + f_pose into the neutral face of the same person in the
same pose, and f_id + f_pose + f_exp into the input. Only the two encoders and their heads are kept.

Equations 1 to 12 are the functions of train.recipes.ipd_fer_equations, Algorithm 1 is
:meth:`IpdFer.step`. What the paper leaves open, or prints in two ways, is decided in
train/README.md and said here where it is done.
"""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.augment import Augmentation, Augmenter
from train.data.batches import Batch, FaceDataset
from train.data.identity import identity_features
from train.data.prepared import DataError, PreparedFaces
from train.initial import start_from
from train.networks.decoder import Decoder
from train.networks.encoders import ENCODERS
from train.networks.face_model import ExpressionBranch
from train.networks.identity import FEATURE_DIM, load_identity
from train.recipes.baseline import mixup, pose_error
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
from train.recipes.recipe import Recipe
from train.schedules import make_schedule
from train.visualize import examples, plot_faces


@dataclass(frozen=True)
class IpdFerOptions:
    """Hyper-parameters of IPD-FER; the paper's values where it gives one."""

    identity: str
    """E_id and N: file of a MobileFaceNet state dict, facenet-casia or facenet-vggface2."""
    network: str = "resnet18-half"
    """Network of E_exp and D, by its name in train.networks.encoders; the paper's is resnet18."""
    pose_network: str = "resnet10-half"
    """Network of E_pose, for faces of the same size and colours; the paper's is resnet18."""
    initial: Path | None = None
    """Run folder whose best epoch E_exp, E_pose and D start from."""
    lambda1: float = 0.001
    """Weight of L^f_neu: D calls the synthesised neutral face neutral."""
    lambda2: float = 0.001
    """Weight of L^f_exp: D finds the expression in the reconstructed face."""
    lambda3: float = 1.0
    """Weight of L_id: the synthesised faces show the same person."""
    lambda4: float = 10.0
    """Weight of L_recon: the synthesised faces look like the input."""
    beta1: float = 0.5
    """Weight of L_cos: f_exp stands at right angles to f_id."""
    beta2: float = 1.0
    """Weight of L_confusion: C_p cannot read the pose from f_exp."""
    pose: bool = True
    """Without: ID-FER. f_pose leaves the sum, and the pose branch is trained by itself."""
    confusion: bool = True
    """Use L_confusion."""
    cos: bool = True
    """Use L_cos."""
    id: bool = True
    """Use L_id."""
    discriminator: bool = True
    """Use D."""
    identity_every: int = 1
    """Take L_id on every so many-th face of a batch only: N costs more than all else on a CPU."""
    hard_labels: bool = True
    """Learn the majority's class; without, the distribution of the votes."""
    dropout: float = 0.0
    """Share of f_exp dropped before C_exp."""
    mixup: float = 0.0
    """Parameter of mixup's Beta distribution for L_exp of line 2 of Algorithm 1, 0 for none."""
    schedule: Literal["paper", "one-cycle"] = "paper"
    """paper: the rate falls to a tenth after each third of the training (every 10 of 30 epochs)."""
    rate: float = 1e-4
    """Learning rate, at first (paper) or at its peak (one-cycle)."""
    decay: float = 0.0
    """Weight decay (as in AdamW) of E_exp, C_exp, E_pose, C_p and D; Adam as it is without."""
    clip: float = 5.0
    """Largest norm of the gradient of each update."""
    augmentation: Augmentation = field(default_factory=Augmentation)

    def lambdas(self) -> dict[str, float]:
        """Weights of equation 11, by the names of the losses."""
        return {
            "fake_neutral": self.lambda1,
            "fake_expression": self.lambda2,
            "identity": self.lambda3,
            "reconstruction": self.lambda4,
        }

    def betas(self) -> dict[str, float]:
        """Weights of equation 12."""
        return {"cos": self.beta1, "confusion": self.beta2}


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
    """A batch as the encoders see it: x, augmented pixels in 0…1; f_id (n, 512); target, the labels
    as distributions (n, classes); neutral, bool (n,); pose, yaw_bin and known as in Batch."""

    x: Tensor
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
            raise DataError("IPD-FER needs a class named neutral: its synthesised faces are that.")
        spec = _common_input(options.network, options.pose_network)
        self.options = options
        self.neutral = classes.index("neutral")
        self.model = self.face_model(dataclasses.asdict(options), len(classes))
        self.decoder = Decoder(FEATURE_DIM, spec.channels, spec.size, spec.width)
        self.discriminator = ExpressionBranch(options.network, len(classes), dropout=0.0)
        self.identity = load_identity(options.identity)
        self.augment = Augmenter(options.augmentation)
        if options.initial:
            start_from(options.initial, self.model, self.discriminator)

    def prepare(self, data: PreparedFaces, folder: Path, fabric) -> np.ndarray:
        """f_id of every face."""
        return identity_features(self.identity, data, folder, fabric.device)

    def setup(self, fabric, steps: int) -> None:
        self.fabric = fabric
        self.networks = nn.ModuleList([self.model, self.decoder, self.discriminator])
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
        losses["reconstruction"] = reconstruction_loss(x_ipe, x_ip, sample.x, sample.neutral)
        if options.discriminator:
            losses |= self._fool(x_ip, x_ipe, sample)
        if options.id:
            # A batch is drawn at random, so these faces stand for all of it. Every so many-th step
            # would cost the same, but bring its gradient in bursts, which are then clipped.
            some = slice(None, None, options.identity_every)
            losses["identity"] = self._identity(x_ip[some], x_ipe[some], sample.x[some])
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
        x, pose = self.augment(self.model.expression_input(batch.faces), batch.pose)
        target = batch.target
        if self.options.hard_labels:
            target = F.one_hot(batch.label.clamp(min=0), target.shape[1]).to(target)
        return Sample(
            x, batch.identity, target, batch.label == self.neutral,
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
    def picture(self, data: PreparedFaces, identity: np.ndarray, path: Path) -> None:
        """Figure 9: input, f_id, f_id + f_pose, f_id + f_pose + f_exp on eight validation faces."""
        self.networks.eval()
        dataset = FaceDataset(data, examples(data, data.rows("validation")), identity)
        batch = dataset.__getitems__(range(len(dataset))).to(self.fabric.device)
        # Plain modules, not those of setup: of several processes only one draws.
        x, feature = self.model.expression_input(batch.faces), batch.identity
        columns = {"input": x, "f_id": self.decoder(feature)}
        if self.options.pose:
            feature = feature + self.model.pose.encoder(x)
            columns["f_id + f_pose"] = self.decoder(feature)
        feature = feature + self.model.expression.encoder(x)
        columns["… + f_exp"] = self.decoder(feature)
        plot_faces({name: pixels.float().cpu().numpy() for name, pixels in columns.items()}, path)

    def state(self) -> dict:
        return {
            "networks": self.networks.state_dict(),
            "optimizers": {name: each.state_dict() for name, each in self.optimizers.items()},
            "schedules": {name: each.state_dict() for name, each in self.schedules.items()},
        }

    def load_state(self, state: dict) -> None:
        self.networks.load_state_dict(state["networks"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
            self.schedules[name].load_state_dict(state["schedules"][name])


def _common_input(network: str, pose_network: str):
    """The spec of `network`; DataError unless both look at faces of one size and colour."""
    spec, pose_spec = (ENCODERS.get(name) for name in (network, pose_network))
    if not spec or not pose_spec:
        raise DataError(f"The networks are {', '.join(ENCODERS)}; not {network}, {pose_network}.")
    if (spec.size, spec.channels) != (pose_spec.size, pose_spec.channels):
        raise DataError(f"{network} and {pose_network} do not look at the same picture of a face.")
    return spec
