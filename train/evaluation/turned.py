"""Accuracy on faces of known angles: FERPlus has few turned ones, so frontal ones are turned.

The faces are synthetic. Each is taken for the front of an ellipsoid and warped
(:func:`realtime.head.turned_head`), so that its mouth and eyes go where a turned head has them, but
nothing comes into view that was hidden, and no nose covers a cheek. It asks whether a network still
reads the expression of a face whose geometry is that of a turned one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from realtime.align import TEMPLATE, align, similarity_transform
from realtime.head import turned_head, turned_landmarks
from train.data.prepared import PreparedFaces, read_prepared
from train.errors import UserError
from train.evaluation.evaluate import predict_run
from train.files import write_json
from train.metrics import expression_scores, percent
from train.pose import YAW_BIN_EDGES
from train.progress import progress

ANGLES = (0, 20, 35, 50)
"""Degrees of yaw, each to both sides."""
FRONTAL = YAW_BIN_EDGES[0]
"""|yaw| in degrees below which a face is taken for frontal."""


def frontal(data: PreparedFaces, split: str) -> PreparedFaces:
    """The faces of a split that are known to look ahead; UserError where there are none."""
    rows = data.rows(split)
    with np.errstate(invalid="ignore"):  # NaN where the pose is not known
        ahead = data.pose_trusted[rows] & (np.abs(data.pose[rows, 0]) < FRONTAL)
    if not ahead.any():
        raise UserError(f"The prepared data has no {split} faces that are known to be frontal.")
    return data.only(rows[ahead])


def turned_faces(faces: np.ndarray, degrees: float) -> np.ndarray:
    """Aligned faces, uint8 (n, 112, 112, channels), each with its head turned by a yaw and aligned
    anew, as the application would."""
    if not degrees:
        return faces
    transform = similarity_transform(turned_landmarks(TEMPLATE, degrees, 0))
    turned = [align(turned_head(face, TEMPLATE, degrees, 0), transform) for face in faces]
    return np.stack(turned).reshape(faces.shape)


def measure_turned(runs: tuple[Path, ...], data: PreparedFaces, split: str, device: str) -> dict:
    """Of each run the accuracy and mean-class accuracy (fractions) by angle, both sides together,
    as the network decides. Writes ``turned-<split>.json`` into every run folder."""
    chosen = frontal(data, split)
    found: dict[str, dict] = {str(run): {} for run in runs}
    for angle in progress(ANGLES, desc="Turned", unit="angle"):
        sides = [turned_faces(chosen.faces, side) for side in sorted({angle, -angle})]
        for run in runs:
            said = [
                predict_run(run, dataclasses.replace(chosen, faces=faces), split, device)
                for faces in sides
            ]
            probabilities = np.concatenate([each.found.probabilities for each in said])
            scores = expression_scores(probabilities, np.tile(chosen.label, len(sides)))
            keys = ("accuracy", "mean_class_accuracy")
            found[str(run)][str(angle)] = {key: scores[key] for key in keys}
    for run in runs:
        result = {"split": split, "faces": len(chosen), "angles": found[str(run)]}
        write_json(run / f"turned-{split}.json", result)
    return {"split": split, "faces": len(chosen), "runs": found}


def report(result: dict) -> str:
    """A table for people: a row a run, accuracy in per cent and the points lost to the frontal
    face."""
    lines = [
        (
            f"{result['split']}: {result['faces']} frontal faces, turned to both sides "
            "(synthetic); accuracy, and the points lost"
        ),
        " ".join(f"{f'±{angle}°':>14}" for angle in ANGLES),
    ]
    for run, angles in result["runs"].items():
        ahead = angles["0"]["accuracy"]
        cells = [
            f"{percent(each['accuracy'], 2):>7} ({100 * (each['accuracy'] - ahead):+.1f})"
            for each in angles.values()
        ]
        lines.append(" ".join(f"{cell:>14}" for cell in cells) + f"  {run}")
    return "\n".join(lines)


@dataclass(frozen=True)
class Turned:
    """See how much of its accuracy each run keeps on faces that are turned by known angles: frontal
    faces of a split, warped to both sides. Synthetic, but every angle has as many faces."""

    runs: Annotated[tuple[Path, ...], tyro.conf.arg(name="run")]
    """Run folders."""
    data: Path = Path("data/ferplus")
    """Folder that `prepare` wrote."""
    split: Literal["train", "validation", "test"] = "validation"
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def run(self) -> None:
        data = read_prepared(self.data)
        print(report(measure_turned(self.runs, data, self.split, self.device)))
