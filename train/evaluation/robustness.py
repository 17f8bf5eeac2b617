"""How much accuracy a trained run loses when the aligned faces get worse.

Every change is made to the aligned uint8 faces (112 px) with OpenCV, one at a time and at full
strength: a shift is always 10 % of the side, only its direction is drawn. What comes into view at
the border repeats it, since there is nothing behind it; a shifted detection in the application
still sees the real surroundings, so shift and rotation are a little harder here than there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import tyro

from train.data.prepared import PreparedFaces, read_prepared
from train.evaluation.evaluate import predict_run, result_name
from train.files import write_json
from train.metrics import expression_scores
from train.options import Seed
from train.progress import progress
from train.runs.decision import Prior, read_decision

SHIFT = 0.10
"""Fraction of the side."""
ROTATION = 15.0
"""Degrees."""
BLUR = 2.0
"""Standard deviation in pixels of a 112-px face."""
JPEG_QUALITY = 30
OCCLUSION = 0.30
"""Fraction of the area."""
GREY = 128

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""One face, uint8 (h, w, channels), to a changed one of the same kind."""


def shift(face: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Moved by 10 % of the side to the left, right, top or bottom."""
    step = round(SHIFT * face.shape[0])
    right, down = [(step, 0), (-step, 0), (0, step), (0, -step)][random.integers(4)]
    return _warp(face, np.array([[1.0, 0, right], [0, 1, down]]))


def rotate(face: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Turned about its centre by 15° clockwise or counter-clockwise."""
    height, width = face.shape[:2]
    centre = ((width - 1) / 2, (height - 1) / 2)
    return _warp(face, cv2.getRotationMatrix2D(centre, random.choice([-ROTATION, ROTATION]), 1.0))


def blur(face: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Gaussian blur of 2 px."""
    return _with_channels(cv2.GaussianBlur(face, (0, 0), BLUR), face)


def jpeg(face: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Through JPEG at quality 30."""
    grey = face.shape[2] == 1
    # OpenCV takes and gives BGR.
    _, packed = cv2.imencode(".jpg", face[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    unpacked = cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR)
    assert unpacked is not None, "OpenCV reads what it has written"
    return unpacked[:, :, None] if grey else unpacked[:, :, ::-1]


def brighten(face: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Gamma 0.5."""
    return _gamma(face, 0.5)


def darken(face: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Gamma 2."""
    return _gamma(face, 2.0)


def occlude(face: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A grey square over 30 % of the area, anywhere inside the face."""
    size = face.shape[0]
    side = round(np.sqrt(OCCLUSION) * size)
    top, left = random.integers(0, size - side + 1, 2)
    changed = face.copy()
    changed[top : top + side, left : left + side] = GREY
    return changed


CHANGES: dict[str, Change] = {
    "shift 10 %": shift,
    "rotation 15°": rotate,
    "blur 2 px": blur,
    "JPEG quality 30": jpeg,
    "gamma 0.5": brighten,
    "gamma 2": darken,
    "occlusion 30 %": occlude,
}


def measure_robustness(
    run: Path, data: PreparedFaces, split: str, prior: Prior, seed: int, device: str = "auto"
) -> dict:
    """Accuracy and mean-class accuracy (fractions) clean and under every change, with the points
    lost; the decision is that of `prior` (train.runs.decision).

    Deterministic in `seed`. Writes ``robustness-<split>.json`` (``-balanced``) into the run folder.
    """
    decision, chosen = read_decision(run, prior), data.only(data.rows(split))
    conditions, names = {}, ["clean", *CHANGES]
    for number, name in enumerate(progress(names, desc="Robustness", unit="condition")):
        faces = chosen.faces
        if name != "clean":
            faces = changed_faces(faces, CHANGES[name], np.random.default_rng([seed, number]))
        predicted = predict_run(run, dataclasses.replace(chosen, faces=faces), split, device)
        scores = expression_scores(decision.apply(predicted.found.probabilities), chosen.label)
        conditions[name] = {key: scores[key] for key in ("accuracy", "mean_class_accuracy")}
    for scores in conditions.values():
        for key in ("accuracy", "mean_class_accuracy"):
            scores[f"{key}_points_lost"] = 100 * (conditions["clean"][key] - scores[key])
    result = {"split": split, "faces": len(chosen), "prior": prior, "seed": seed}
    result["conditions"] = conditions
    write_json(run / f"robustness-{result_name(split, prior)}.json", result)
    return result


def changed_faces(faces: np.ndarray, change: Change, random: np.random.Generator) -> np.ndarray:
    """All faces, uint8 (n, h, w, channels), changed one by one in their order."""
    result = np.empty_like(faces)
    for index, face in enumerate(faces):
        result[index] = change(face, random)
    return result


def report(result: dict) -> str:
    """The result as a text for people."""
    lines = [
        f"{result['split']}, {result['faces']} faces, prior {result['prior']}",
        "",
        f"{'':<16} {'accuracy':>9} {'lost':>6} {'mean class':>11} {'lost':>6}",
    ]
    for name, scores in result["conditions"].items():
        lines.append(
            f"{name:<16} {scores['accuracy']:>9.2%} {scores['accuracy_points_lost']:>6.2f} "
            f"{scores['mean_class_accuracy']:>11.2%} "
            f"{scores['mean_class_accuracy_points_lost']:>6.2f}"
        )
    return "\n".join(lines)


def _gamma(face: np.ndarray, gamma: float) -> np.ndarray:
    table = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return table[face]


def _warp(face: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    height, width = face.shape[:2]
    moved = cv2.warpAffine(
        face, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return _with_channels(moved, face)


def _with_channels(changed: np.ndarray, face: np.ndarray) -> np.ndarray:
    """OpenCV drops the last axis of a grey picture."""
    return changed.reshape(face.shape)


@dataclass(frozen=True)
class Robustness:
    """Measure what shift, rotation, blur, JPEG, gamma and occlusion cost a run."""

    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run folder."""
    data: Path = Path("data/ferplus")
    """Folder that `prepare` wrote."""
    split: Literal["train", "validation", "test"] = "validation"
    prior: Prior = "data"
    """data: the decision as trained. balanced: corrected for frequent classes (`calibrate`)."""
    seed: Seed = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def run(self) -> None:
        data = read_prepared(self.data)
        result = measure_robustness(
            self.run_folder, data, self.split, self.prior, self.seed, self.device
        )
        print(report(result))
        name = result_name(self.split, self.prior)
        print(f"\nWritten: {self.run_folder}/robustness-{name}.json")
