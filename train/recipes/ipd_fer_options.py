"""The hyper-parameters of IPD-FER and the switches of its ablations."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from train.data.augmentation import Augmentation
from train.options import BelowOne, Count, NotNegative, Positive
from train.recipes.schedules import ScheduleName


@dataclass(frozen=True)
class IpdFerOptions:
    """Hyper-parameters of IPD-FER; the paper's values where it gives one."""

    identity: str
    """E_id and N: file of a MobileFaceNet state dict, facenet-casia or facenet-vggface2."""
    network: str = "resnet18-half"
    """Network of E_exp and D, by its name in train.networks.encoders; the paper's is resnet18."""
    pose_network: str = "resnet10-half"
    """Network of E_pose, for faces of the same size and colours; the paper's is resnet18."""
    decoder_width: Count | None = None
    """Of G_dec, whose channels fall from 8 times to half of it; that of --network by default."""
    initial: Path | None = None
    """Run folder whose best epoch E_exp, E_pose and D start from."""
    lambda1: NotNegative = 0.001
    """Weight of L^f_neu: D calls the synthesised neutral face neutral."""
    lambda2: NotNegative = 0.001
    """Weight of L^f_exp: D finds the expression in the reconstructed face."""
    lambda3: NotNegative = 1.0
    """Weight of L_id: the synthesised faces show the same person."""
    lambda4: NotNegative = 10.0
    """Weight of L_recon: the synthesised faces look like the input."""
    beta1: NotNegative = 0.5
    """Weight of L_cos: f_exp stands at right angles to f_id."""
    beta2: NotNegative = 1.0
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
    identity_every: Count = 1
    """Take L_id on every so many-th face of a batch only: N costs more than all else on a CPU."""
    hard_labels: bool = True
    """Learn the majority's class; without, the distribution of the votes."""
    dropout: BelowOne = 0.0
    """Share of f_exp dropped before C_exp."""
    mixup: NotNegative = 0.0
    """Parameter of mixup's Beta distribution for L_exp of line 2 of Algorithm 1, 0 for none."""
    schedule: ScheduleName = "paper"
    """paper: the rate falls to a tenth after each third of the training (every 10 of 30 epochs)."""
    rate: Positive = 1e-4
    """Learning rate, at first (paper) or at its peak (one-cycle)."""
    decay: NotNegative = 0.0
    """Weight decay (as in AdamW) of E_exp, C_exp, E_pose, C_p and D; Adam as it is without."""
    clip: Positive = 5.0
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
