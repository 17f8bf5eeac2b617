"""Measures a trained run on one split and writes what it found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from train.data.batches import FaceDataset, evaluation_loader
from train.data.predictions import predict
from train.data.prepared import PreparedFaces, read_prepared
from train.devices import make_fabric
from train.errors import UserError
from train.files import file_sha256, save_figure, write_json
from train.metrics import (
    Predictions,
    accuracy_by_yaw,
    calibration_error,
    expression_scores,
    percent,
    pose_scores,
)
from train.plots import plot_confusion
from train.runs.decision import Prior, read_decision
from train.runs.folder import RunFolder
from train.runs.load import load_model


@dataclass(frozen=True)
class SplitPredictions:
    """What a run's best epoch says of the faces in `rows`; probabilities before any decision."""

    config: dict
    rows: np.ndarray
    dataset: FaceDataset
    found: Predictions


def predict_run(run: Path, data: PreparedFaces, split: str, device: str) -> SplitPredictions:
    """Run the best epoch over `split` in full precision.

    UserError where the split is empty or the data has other classes than the run.
    """
    model, config = load_model(run)
    if list(data.classes) != config["classes"]:
        raise UserError(
            f"{run} knows {', '.join(config['classes'])}; the prepared data has "
            f"{', '.join(data.classes)}."
        )
    rows = data.rows(split)
    if not len(rows):
        raise UserError(f"The prepared data has no {split} faces.")
    fabric = make_fabric(device, "32-true")
    model.to(fabric.device)
    dataset = FaceDataset(data, rows)
    found = predict(model, evaluation_loader(dataset), data.rotation[rows], fabric)
    return SplitPredictions(config, rows, dataset, found)


def evaluate_run(
    run: Path, data: PreparedFaces, split: str, device: str = "auto", prior: Prior = "data"
) -> dict:
    """Scores of the run's best epoch on `split`, in full precision, decided as `prior` says
    (train.runs.decision).

    Writes ``evaluation-<split>.json`` and ``confusion-<split>.png`` into the run folder, with
    ``-balanced`` after the split where the prior is that.
    """
    decision = read_decision(run, prior)
    predicted = predict_run(run, data, split, device)
    config, rows, dataset = predicted.config, predicted.rows, predicted.dataset
    found, probabilities = predicted.found, decision.apply(predicted.found.probabilities)
    known, pose, label = dataset.pose_known.numpy(), data.pose[rows], data.label[rows]
    yaw = np.where(known, pose[:, 0], np.nan)
    scores = {
        "run": {key: config[key] for key in ("recipe", "options", "fit")},
        "split": split,
        "prior": prior,
        "temperature": decision.temperature,
        "tau": decision.tau,
        "checkpoint_sha256": file_sha256(RunFolder(run).best),
        "faces": len(rows),
        "classes": list(data.classes),
        "expression": expression_scores(probabilities, label),
        "calibration_error": calibration_error(probabilities, label),
        "accuracy_by_yaw": accuracy_by_yaw(probabilities, label, yaw),
        "pose": pose_scores(found, pose, dataset.yaw_bin.numpy(), known),
    }
    name = result_name(split, prior)
    confusion = plot_confusion(np.array(scores["expression"]["confusion"]), data.classes)
    save_figure(confusion, run / f"confusion-{name}.png")
    # Last: where it is, `reproduce` takes all of the measuring as done.
    write_json(run / f"evaluation-{name}.json", scores)
    return scores


def result_name(split: str, prior: Prior) -> str:
    """What tells the result files of one run apart."""
    return split if prior == "data" else f"{split}-{prior}"


def report(scores: dict) -> str:
    """The scores as a text for people."""
    expression, pose = scores["expression"], scores["pose"]
    lines = [
        (
            f"{scores['split']}: {scores['faces']} faces; temperature "
            f"{scores['temperature']:.3f}, prior strength {scores['tau']:.2f}"
        ),
        (
            f"accuracy {expression['accuracy']:.2%}, mean-class accuracy "
            f"{expression['mean_class_accuracy']:.2%}, expected calibration error "
            f"{scores['calibration_error']:.2%}"
        ),
        "",
        f"{'':<11} {'recall':>7} {'precision':>9}   called "
        + " ".join(f"{name[:5]:>6}" for name in scores["classes"]),
    ]
    for name, recall, precision, counts in zip(
        scores["classes"],
        expression["recall"],
        expression["precision"],
        expression["confusion"],
        strict=True,
    ):
        cells = " ".join(f"{count:>6}" for count in counts)
        lines.append(f"{name:<11} {percent(recall):>7} {percent(precision):>9}          {cells}")
    lines += ["", f"{'|yaw| in degrees':<18} {'faces':>6} {'accuracy':>9}"]
    for name, cell in scores["accuracy_by_yaw"].items():
        lines.append(f"{name:<18} {cell['faces']:>6} {percent(cell['accuracy'], 2):>9}")
    if pose["faces"]:
        lines += [
            "",
            (
                f"pose, {pose['faces']} trustworthy labels: mean absolute error yaw "
                f"{pose['yaw']:.2f}°, pitch {pose['pitch']:.2f}°, roll {pose['roll']:.2f}°; "
                f"|yaw| class {pose['yaw_bin_accuracy']:.2%} right"
            ),
        ]
    return "\n".join(lines)


@dataclass(frozen=True)
class Evaluate:
    """Measure the best epoch of a run on one split. Choose on validation; read test once."""

    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run folder."""
    data: Path = Path("data/ferplus")
    """Folder that `prepare` wrote."""
    split: Literal["train", "validation", "test"] = "validation"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    prior: Prior = "data"
    """data: the decision as trained. balanced: corrected for frequent classes (`calibrate`)."""

    def run(self) -> None:
        data = read_prepared(self.data)
        print(report(evaluate_run(self.run_folder, data, self.split, self.device, self.prior)))
        name = result_name(self.split, self.prior)
        print(f"\nWritten: {self.run_folder}/evaluation-{name}.json, confusion-{name}.png")
