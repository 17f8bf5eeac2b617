"""Measures a trained run on one split and writes what it found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from train.data.batches import FaceDataset, evaluation_loader
from train.data.prepared import PreparedFaces
from train.export import load_model
from train.loop import make_fabric
from train.metrics import accuracy_by_yaw, expression_scores, pose_scores, predict
from train.visualize import plot_confusion


def evaluate_run(run: Path, data: PreparedFaces, split: str, device: str = "auto") -> dict:
    """Scores of the run's best epoch on `split`, in full precision.

    Writes ``evaluation-<split>.json`` and ``confusion-<split>.png`` into the run folder.
    """
    model, config = load_model(run)
    fabric = make_fabric(device, "32-true")
    model.to(fabric.device)
    rows = data.rows(split)
    dataset = FaceDataset(data, rows)
    found = predict(model, evaluation_loader(dataset), data.rotation[rows], fabric)
    known, pose, label = dataset.pose_known.numpy(), data.pose[rows], data.label[rows]
    yaw = np.where(known, pose[:, 0], np.nan)
    scores = {
        "run": {key: config[key] for key in ("recipe", "options", "fit")},
        "split": split,
        "faces": len(rows),
        "classes": list(data.classes),
        "expression": expression_scores(found.probabilities, label),
        "accuracy_by_yaw": accuracy_by_yaw(found.probabilities, label, yaw),
        "pose": pose_scores(found, pose, dataset.yaw_bin.numpy(), known),
    }
    (run / f"evaluation-{split}.json").write_text(json.dumps(scores, indent=2) + "\n")
    plot_confusion(
        np.array(scores["expression"]["confusion"]), data.classes, run / f"confusion-{split}.png"
    )
    return scores


def report(scores: dict) -> str:
    """The scores as a text for people."""
    expression, pose = scores["expression"], scores["pose"]
    lines = [
        f"{scores['split']}: {scores['faces']} faces",
        f"accuracy {expression['accuracy']:.2%}, mean-class accuracy "
        f"{expression['mean_class_accuracy']:.2%}",
        "",
        f"{'':<11} {'recall':>7} {'precision':>9}   called " + " ".join(f"{c[:5]:>6}" for c in scores["classes"]),
    ]
    for name, recall, precision, counts in zip(
        scores["classes"], expression["recall"], expression["precision"], expression["confusion"]
    ):
        cells = " ".join(f"{count:>6}" for count in counts)
        lines.append(f"{name:<11} {recall:>7.1%} {precision:>9.1%}          {cells}")
    lines += ["", f"{'|yaw| in degrees':<18} {'faces':>6} {'accuracy':>9}"]
    for name, cell in scores["accuracy_by_yaw"].items():
        accuracy = "–" if cell["accuracy"] is None else f"{cell['accuracy']:.2%}"
        lines.append(f"{name:<18} {cell['faces']:>6} {accuracy:>9}")
    if pose["faces"]:
        lines += [
            "",
            f"pose, {pose['faces']} trustworthy labels: mean absolute error yaw {pose['yaw']:.2f}°, "
            f"pitch {pose['pitch']:.2f}°, roll {pose['roll']:.2f}°; "
            f"|yaw| class {pose['yaw_bin_accuracy']:.2%} right",
        ]
    return "\n".join(lines)
