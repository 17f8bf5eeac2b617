"""Chooses temperature and prior strength (train.runs.decision) of a trained run on validation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from train.data.prepared import PreparedFaces, read_prepared
from train.errors import UserError
from train.evaluation.evaluate import predict_run
from train.evaluation.strangers import Strangers, read_strangers
from train.evaluation.strangers import report as strangers_report
from train.files import file_sha256, write_json
from train.metrics import calibration_error, expression_scores, percent
from train.options import NotNegative
from train.runs.decision import CALIBRATION_FILE, Decision
from train.runs.folder import RunFolder
from train.runs.load import load_model

TEMPERATURES = (0.05, 20.0)
"""Where the temperature is looked for."""
TAUS = tuple(round(0.05 * step, 2) for step in range(41))
"""Prior strengths that are tried, 0 to 2."""
OFFSETS = tuple(round(0.1 * step, 1) for step in range(31))
"""What is tried to be added to the logit of happiness, 0 to 3."""
KEPT = 0.98
"""Share of strangers' resting faces that has to stay neutral."""


def calibrate_run(
    run: Path,
    data: PreparedFaces,
    max_loss: float,
    device: str = "auto",
    strangers: Strangers | None = None,
) -> dict:
    """Fit the decision of the run's best epoch on the validation split of `data`.

    max_loss: by how many points of accuracy, at most, the balanced decision, and the one for
    strangers, may fall behind the uncorrected one. strangers: what the network says of them, by
    train.evaluation.strangers; None leaves their decision out. Writes ``calibration.json`` into the
    run folder, and returns what it holds.
    """
    predicted = predict_run(run, data, "validation", device)
    raw, label = predicted.found.probabilities, data.label[predicted.rows]
    temperature, prior = fit_temperature(raw, label), training_prior(data)
    sweep = tau_sweep(raw, label, temperature, prior)
    corrected = Decision(temperature, choose_tau(sweep, max_loss), prior)
    decisions = {
        "uncalibrated": Decision(),
        "data": Decision(temperature),
        "balanced": recalibrated(corrected, raw, label),
    }
    if strangers:
        found = choose_offset(strangers, raw, label, Decision(temperature, 0.0, prior), max_loss)
        decisions["strangers"] = recalibrated(found, raw, label)
    calibration = {
        "split": "validation",
        "faces": len(label),
        "checkpoint_sha256": file_sha256(RunFolder(run).best),
        "max_loss": max_loss,
        "training_prior": dict(zip(data.classes, prior, strict=True)),
        "decisions": {
            name: _scores(decision, raw, label, strangers) for name, decision in decisions.items()
        },
        "sweep": sweep,
    }
    write_json(run / CALIBRATION_FILE, calibration)
    return calibration


def training_prior(data: PreparedFaces) -> tuple[float, ...]:
    """Class shares of the training labels.

    The labels, not the votes of those who gave them: the decision is measured against labels, and
    votes name the rare classes more often than labels do. One face is added to each class, so that
    one which training never showed keeps a finite share.
    """
    label = data.label[data.rows("train")]
    if not len(label):
        raise UserError("The prepared data has no training faces to take the class shares from.")
    faces = np.bincount(label, minlength=len(data.classes)) + 1
    return tuple((faces / faces.sum()).tolist())


def negative_log_likelihood(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Mean of −log p(true class), of probabilities (n, classes) and labels (n,)."""
    true = probabilities[np.arange(len(label)), label]
    return float(-np.log(np.maximum(true, np.finfo(np.float64).tiny)).mean())


def fit_temperature(probabilities: np.ndarray, label: np.ndarray) -> float:
    """The temperature of least negative log-likelihood, within :data:`TEMPERATURES`.

    The likelihood is convex in 1/T, so it falls and rises once along log T as well, and a search
    that only goes downhill finds the bottom.
    """
    # Here, since loading it takes a second that not every command has to wait for.
    from scipy.optimize import minimize_scalar

    def cost(log_temperature: float) -> float:
        decided = Decision(float(np.exp(log_temperature))).apply(probabilities)
        return negative_log_likelihood(decided, label)

    found = minimize_scalar(cost, bounds=np.log(TEMPERATURES), options={"xatol": 1e-4})
    return float(np.exp(found.x))


def recalibrated(decision: Decision, probabilities: np.ndarray, label: np.ndarray) -> Decision:
    """The same winners at the temperature of least negative log-likelihood.

    The class that wins depends on z − T·τ·log π + T·o alone, so T may change while T·τ and T·o
    stay. It has to: what calibrates softmax(z / T) no longer does once the prior is taken out.
    """
    strength = decision.temperature * decision.tau
    offset = tuple(decision.temperature * each for each in decision.offset)
    corrected = Decision(1.0, strength, decision.prior, offset).apply(probabilities)
    temperature = fit_temperature(corrected, label)
    offset = tuple(each / temperature for each in offset)
    return Decision(temperature, strength / temperature, decision.prior, offset)


def choose_offset(
    strangers: Strangers,
    probabilities: np.ndarray,
    label: np.ndarray,
    decision: Decision,
    max_loss: float,
) -> Decision:
    """The strength and the offset of happiness with the highest sum of mean-class accuracy on
    validation and of strangers' smiles found, among those that lose at most `max_loss` points of
    accuracy and keep at least :data:`KEPT` of the strangers' resting faces neutral, or as many as
    without. decision: the temperature and the class shares to start from."""
    plain = expression_scores(decision.apply(probabilities), label)
    floor = plain["accuracy"] - max_loss / 100 - 1e-12
    kept = min(KEPT, strangers.decided(decision).kept()) - 1e-12
    best, chosen = -1.0, decision
    for tau, raised in product(TAUS, OFFSETS):
        offset = [0.0] * probabilities.shape[1]
        offset[strangers.happiness] = raised
        tried = replace(decision, tau=tau, offset=tuple(offset))
        scores = expression_scores(tried.apply(probabilities), label)
        seen = strangers.decided(tried)
        if scores["accuracy"] < floor or seen.kept() < kept:
            continue
        gained = scores["mean_class_accuracy"] + seen.found()
        if gained > best + 1e-12:
            best, chosen = gained, tried
    return chosen


def tau_sweep(
    probabilities: np.ndarray, label: np.ndarray, temperature: float, prior: tuple[float, ...]
) -> list[dict[str, float]]:
    """Accuracy and mean-class accuracy (fractions) at every strength of :data:`TAUS`."""
    rows = []
    for tau in TAUS:
        scores = expression_scores(Decision(temperature, tau, prior).apply(probabilities), label)
        both = {key: scores[key] for key in ("accuracy", "mean_class_accuracy")}
        rows.append({"tau": tau, **both})
    return rows


def choose_tau(sweep: list[dict[str, float]], max_loss: float) -> float:
    """The strength of highest mean-class accuracy that loses at most `max_loss` points of
    accuracy against none; the smallest of equals."""
    floor = sweep[0]["accuracy"] - max_loss / 100
    allowed = [row for row in sweep if row["accuracy"] >= floor - 1e-12]
    return max(allowed, key=lambda row: (row["mean_class_accuracy"], -row["tau"]))["tau"]


def report(calibration: dict) -> str:
    """The calibration as a text for people."""
    lines = [
        (
            f"{calibration['split']}, {calibration['faces']} faces; prior balanced may lose "
            f"{calibration['max_loss']:g} points of accuracy"
        ),
        "",
        (
            f"{'decision':<13} {'T':>6} {'tau':>6} {'accuracy':>9} {'mean class':>11} "
            f"{'ECE':>7} {'NLL':>7}"
        ),
    ]
    decisions = calibration["decisions"]
    for name, scores in decisions.items():
        lines.append(
            f"{name:<13} {scores['temperature']:>6.3f} {scores['tau']:>6.3f} "
            f"{scores['accuracy']:>9.2%} {scores['mean_class_accuracy']:>11.2%} "
            f"{scores['calibration_error']:>7.2%} {scores['negative_log_likelihood']:>7.4f}"
        )
    seen = {name: scores["strangers"] for name, scores in decisions.items() if scores["strangers"]}
    if seen:
        lines += ["", "strangers, by decision", strangers_report(seen)]
    shown = [name for name in decisions if name != "uncalibrated"]
    lines += [
        "",
        f"{'':<13} " + "   ".join(f"{'prior ' + name:>20}" for name in shown),
        f"{'class':<13} " + "   ".join([f"{'recall':>9} {'precision':>10}"] * len(shown)),
    ]
    for index, name in enumerate(calibration["training_prior"]):
        cells = [
            f"{percent(each['recall'][index]):>9} {percent(each['precision'][index]):>10}"
            for each in (decisions[prior] for prior in shown)
        ]
        lines.append(f"{name:<13} {'   '.join(cells)}")
    return "\n".join(lines)


def _scores(
    decision: Decision, raw: np.ndarray, label: np.ndarray, strangers: Strangers | None
) -> dict:
    probabilities = decision.apply(raw)
    return {
        "temperature": decision.temperature,
        "tau": decision.tau,
        "offset": list(decision.offset),
        "strangers": strangers.decided(decision).scores() if strangers else None,
        **expression_scores(probabilities, label),
        "calibration_error": calibration_error(probabilities, label),
        "negative_log_likelihood": negative_log_likelihood(probabilities, label),
    }


@dataclass(frozen=True)
class Calibrate:
    """Choose temperature and prior strength on validation; `export` folds them into the model."""

    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run folder."""
    data: Path = Path("data/ferplus")
    """Folder that `prepare` wrote."""
    max_loss: NotNegative = 1.0
    """Points of accuracy that the balanced decision may lose at most."""
    strangers: Path | None = None
    """Folder that `prepare london` wrote: choose a decision for people nobody trained on, too."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def run(self) -> None:
        data = read_prepared(self.data)
        strangers = None
        if self.strangers:
            model, _ = load_model(self.run_folder)
            strangers = read_strangers(model.eval(), self.strangers)
        found = calibrate_run(self.run_folder, data, self.max_loss, self.device, strangers)
        print(report(found))
        print(f"\nWritten: {self.run_folder / CALIBRATION_FILE}")
