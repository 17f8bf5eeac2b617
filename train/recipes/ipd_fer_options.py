"""The hyper-parameters of IPD-FER."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from train.data.augmentation import Augmentation
from train.networks.decoder import Upsampling
from train.options import BelowOne, Count, NotNegative, Positive, Share
from train.recipes.schedules import ScheduleName


@dataclass(frozen=True)
class IpdFerOptions:
    """Hyper-parameters of IPD-FER, the paper's where it has one. A weight of 0 ends its term."""

    identity: str
    """E_id and N: file of a MobileFaceNet state dict, facenet-casia or facenet-vggface2."""
    network: str = "resnet18-half"
    """Network of E_exp and D, by its name in train.networks.encoders; the paper's is resnet18."""
    pose_network: str = "resnet10-half"
    """Network of E_pose, for faces of the same size and colours; the paper's is resnet18."""
    decoder_width: Count | None = None
    """Of G_dec, whose channels fall from 8 times to half of it; that of --network by default."""
    upsampling: Upsampling = "transposed"
    """How G_dec enlarges; transposed is the paper's, see train.networks.decoder.Decoder."""
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
    """Use L_confusion; without, β2 is 0."""
    cos: bool = True
    """Use L_cos; without, β1 is 0."""
    id: bool = True
    """Use L_id; without, λ3 is 0."""
    discriminator: bool = True
    """Use D; without, λ1 and λ2 are 0."""
    identity_every: Count = 1
    """Take L_id on every so many-th face of a batch only: N costs more than all else on a CPU."""
    identity_from: Share = 0.0
    """Share of the training after which L_id counts, 0 as the paper has it: what G_dec makes at
    first is no face that N could know, and without L_id it learns sooner."""
    pose_consistency: NotNegative = 0.0
    """Weight of L_turn, which the paper does not have: the pose branch sees the input's angles in
    x_ip. Without it only neutral faces tell f_pose, and not f_exp, to turn the head."""
    frontal_identity: NotNegative = 0.0
    """Weight, in parts of λ4, of L_ahead, which the paper does not have: f_id alone makes the input
    where that is neutral and looks ahead. Without it nothing says what f_id alone looks like."""
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

    def lambdas(self) -> tuple[float, float, float, float]:
        """λ1 to λ4 of equation 11."""
        D = self.discriminator
        return D * self.lambda1, D * self.lambda2, self.id * self.lambda3, self.lambda4

    def betas(self) -> tuple[float, float]:
        """β1 and β2 of equation 12; ID-FER has no f_pose to confuse."""
        return self.cos * self.beta1, self.pose * self.confusion * self.beta2

    def lambda_turn(self) -> float:
        """Weight of L_turn; ID-FER has no f_pose to turn a head."""
        return self.pose * self.pose_consistency

    def lambda_ahead(self) -> float:
        """Weight of L_ahead."""
        return self.frontal_identity * self.lambda4
