"""What is measured of a model on labelled faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from train.pose import YAW_BIN_EDGES, yaw_bin


@dataclass(frozen=True)
class Predictions:
    """probabilities: (n, classes). yaw_bin: (n,), predicted class. pose: (n, 3), degrees in the
    original picture."""

    probabilities: np.ndarray
    yaw_bin: np.ndarray
    pose: np.ndarray


def expression_scores(probabilities: np.ndarray, label: np.ndarray) -> dict:
    """Accuracy, mean-class accuracy, recall and precision by class (fractions), confusion counts.

    confusion[i][j] counts faces of class i called j. Recall is None for a class without faces,
    which the mean leaves out, precision for one that is never called.
    """
    # Here, since loading it takes a second that not every command has to wait for.
    from sklearn.metrics import confusion_matrix

    classes = probabilities.shape[1]
    table = confusion_matrix(label, probabilities.argmax(axis=1), labels=np.arange(classes))
    hits, present, called = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
    recall, precision = _shares(hits, present), _shares(hits, called)
    return {
        "accuracy": float(hits.sum() / max(1, table.sum())),
        "mean_class_accuracy": float(np.mean([each for each in recall if each is not None])),
        "recall": recall,
        "precision": precision,
        "confusion": table.tolist(),
    }


def _shares(parts: np.ndarray, wholes: np.ndarray) -> list[float | None]:
    return [
        float(part / whole) if whole else None for part, whole in zip(parts, wholes, strict=True)
    ]


def percent(share: float | None, digits: int = 1) -> str:
    """For people; a dash where there is no number."""
    return "–" if share is None else f"{share:.{digits}%}"


def calibration_error(probabilities: np.ndarray, label: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error (Guo et al. 2017), a fraction.

    Faces are sorted into `bins` equal ranges of their highest probability (n, classes); the error
    is the gap between mean probability and accuracy of a range, averaged over the faces.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == label
    ranges = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(ranges, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(label))


def accuracy_by_yaw(probabilities: np.ndarray, label: np.ndarray, yaw: np.ndarray) -> dict:
    """Faces and accuracy in each of the paper's |yaw| classes (train.pose.yaw_bin) and above each
    of their edges.

    yaw: degrees, NaN where unknown (such faces count in none).
    """
    right = probabilities.argmax(axis=1) == label
    known, bins = ~np.isnan(yaw), yaw_bin(torch.from_numpy(yaw)).numpy()
    result = {}
    for index, (low, high) in enumerate(
        zip((0.0, *YAW_BIN_EDGES[:-1]), YAW_BIN_EDGES, strict=True)
    ):
        result[f"{low:.0f}-{high:.0f}"] = _share(right, known & (bins == index))
    for index, edge in enumerate(YAW_BIN_EDGES):
        result[f">{edge:.0f}"] = _share(right, known & (bins > index))
    return result


def _share(right: np.ndarray, chosen: np.ndarray) -> dict:
    count = int(chosen.sum())
    return {"faces": count, "accuracy": float(right[chosen].mean()) if count else None}


def pose_scores(predicted: Predictions, pose: np.ndarray, yaw_bin: np.ndarray, known: np.ndarray):
    """Mean absolute error in degrees of each angle, and accuracy of the |yaw| class."""
    error = np.abs(predicted.pose - pose)[known]
    means = error.mean(axis=0).tolist() if len(error) else [None] * 3
    errors = dict(zip(("yaw", "pitch", "roll"), means, strict=True))
    right = (predicted.yaw_bin == yaw_bin)[known]
    accuracy = float(right.mean()) if len(right) else None
    return {"faces": int(known.sum()), **errors, "yaw_bin_accuracy": accuracy}
