"""From the network's logits to the probabilities that a user sees, and the file that says how.

First the temperature, then the prior. With logits z, temperature T, the class shares π of the
training set and the strength τ::

    p_k  =  softmax(z / T)_k / π_k^τ  /  Σ_j softmax(z / T)_j / π_j^τ
         =  softmax(z / T − τ · log π)_k

T (Guo et al. 2017, "On Calibration of Modern Neural Networks") makes a probability mean what it
says and never changes the class that wins. τ (Menon et al. 2021, "Long-tail learning via logit
adjustment", post-hoc) takes back the lean toward the frequent classes that a network learns from
their number; 0 leaves the decision as the data had it. T is fitted for each τ by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from train.errors import UserError
from train.files import file_sha256, read_json
from train.runs.folder import RunFolder

Prior = Literal["data", "balanced"]
CALIBRATION_FILE = "calibration.json"


@dataclass(frozen=True)
class Decision:
    """temperature: T > 0. tau: τ ≥ 0. prior: class shares π of the training set, each > 0; may be
    left out where τ is 0."""

    temperature: float = 1.0
    tau: float = 0.0
    prior: tuple[float, ...] = ()

    def bias(self, classes: int) -> np.ndarray:
        """−τ · log π, float64 (classes,): what is added to logits already divided by T."""
        if self.tau == 0:
            return np.zeros(classes)
        if len(self.prior) != classes:
            raise ValueError(f"A prior over {len(self.prior)} classes, and {classes} logits.")
        return -self.tau * np.log(np.asarray(self.prior))

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Decided probabilities, float64 (n, classes), of the network's own, softmax(z).

        The logarithm of softmax(z) is z up to a constant a face, which softmax does not see.
        """
        smallest = np.finfo(np.float64).tiny
        logits = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), smallest))
        decided = logits / self.temperature + self.bias(logits.shape[1])
        powers = np.exp(decided - decided.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


def read_calibration(run: Path) -> dict | None:
    """What ``python -m train calibrate`` wrote into the run folder, None where it has not run.

    UserError where it was made for another checkpoint than the run's best one.
    """
    path = run / CALIBRATION_FILE
    if not path.is_file():
        return None
    calibration = read_json(path, "run `python -m train calibrate` again")
    if calibration["checkpoint_sha256"] != file_sha256(RunFolder(run).best):
        raise UserError(
            f"{path} was made for an earlier best epoch of the run: run `python -m train "
            "calibrate` again."
        )
    return calibration


def read_decision(run: Path, prior: Prior) -> Decision:
    """The calibrated decision of a run; without a calibration the network's own for "data".

    UserError for "balanced" without a calibration, which holds the prior and its strength.
    """
    calibration = read_calibration(run)
    if calibration is None:
        if prior == "balanced":
            raise UserError(
                f"{run} has no {CALIBRATION_FILE}, which --prior balanced needs: run "
                "`python -m train calibrate` first."
            )
        return Decision()
    chosen, shares = calibration["decisions"][prior], calibration["training_prior"].values()
    return Decision(chosen["temperature"], chosen["tau"], tuple(shares))
