"""From the network's logits to the probabilities that a user sees, and the file that says how.

First the temperature, then the prior, then the offset. With logits z, temperature T, the class
shares π of the training set, the strength τ and the offset o of each class::

    p  =  softmax(z / T − τ · log π + o)

T (Guo et al. 2017, "On Calibration of Modern Neural Networks") makes a probability mean what it
says and never changes the class that wins. τ (Menon et al. 2021, "Long-tail learning via logit
adjustment", post-hoc) takes back the lean toward the frequent classes that a network learns from
their number; 0 leaves the decision as the data had it. T is fitted for each τ by itself. o raises
happiness alone, so that a smile too faint for FER2013's annotators is found; 0 leaves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from train.errors import UserError
from train.files import file_sha256, read_json
from train.runs.folder import RunFolder

Prior = Literal["data", "balanced", "strangers"]
"""data: as trained. balanced: corrected for frequent classes. strangers: that, and happiness raised
as far as resting faces of people nobody trained on stay neutral."""
CALIBRATION_FILE = "calibration.json"


@dataclass(frozen=True)
class Decision:
    """temperature: T > 0. tau: τ ≥ 0. prior: class shares π of the training set, each > 0; may be
    left out where τ is 0. offset: o of each class; empty for none."""

    temperature: float = 1.0
    tau: float = 0.0
    prior: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()

    def bias(self, classes: int) -> np.ndarray:
        """−τ · log π + o, float64 (classes,): what is added to logits already divided by T."""
        offset = np.asarray(self.offset or [0.0] * classes)
        if len(offset) != classes or (self.tau and len(self.prior) != classes):
            raise ValueError(
                f"A prior over {len(self.prior)} classes, {len(offset)} offsets, and {classes} "
                "logits."
            )
        return offset - self.tau * np.log(np.asarray(self.prior)) if self.tau else offset

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

    UserError for another one without a calibration that has it.
    """
    calibration = read_calibration(run)
    if calibration is None:
        if prior != "data":
            raise UserError(
                f"{run} has no {CALIBRATION_FILE}, which --prior {prior} needs: run "
                "`python -m train calibrate` first."
            )
        return Decision()
    chosen, shares = calibration["decisions"].get(prior), calibration["training_prior"].values()
    if chosen is None:
        raise UserError(
            f"{run}/{CALIBRATION_FILE} has no decision for strangers: run `python -m train "
            "calibrate` with --strangers."
        )
    # Before there were offsets none was written down.
    offset = tuple(chosen.get("offset", ()))
    return Decision(chosen["temperature"], chosen["tau"], tuple(shares), offset)
