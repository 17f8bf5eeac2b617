"""How close a network of MTCNN comes to ONNX Runtime in fp32, on what real faces give it to see."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from engine.model_file import ModelFile

DECISION = 0.7
"""Probability from which on MTCNN takes something for a face; P-Net's is 0.6."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What a precision must keep: limits on the difference of scores and of places, and on the part
    of decisions that are the same. None promises nothing."""

    score: float | None = None
    place: float | None = None
    same_decision: float | None = None


PROMISES = {
    "fp32": Promise(score=1e-4, place=1e-3),
    "fp16": Promise(same_decision=0.998),
    "bf16": Promise(same_decision=0.998),
    "int8": Promise(same_decision=0.99),
}


@dataclass(frozen=True, slots=True)
class DetectorComparison:
    """One way to run a network of MTCNN against the reference, over all that it looked at.

    Differences are absolute: of scores, which are probabilities, and of places, which are corners
    and landmarks in sizes of the window. same_decision: part of the windows that both or neither
    take for a face. faces: part that the reference takes for one. broken: what of its promise it
    does not keep.
    """

    way: str
    description: str
    precision: str
    score_max: float
    score_mean: float
    place_max: float
    place_mean: float
    same_decision: float
    faces: float
    broken: list[str] = field(default_factory=list)


HEADING = (
    f"{'':<26} {'score':>17} {'place, windows':>17}   same",
    f"{'':<26} {'largest':>8} {'mean':>8} {'largest':>8} {'mean':>8}  decision",
)


def row(one: DetectorComparison) -> str:
    """The comparison as a line under :data:`HEADING`."""
    return (
        f"{one.way:<26} {one.score_max:>8.1g} {one.score_mean:>8.1g} "
        f"{one.place_max:>8.1g} {one.place_mean:>8.1g} {one.same_decision:9.2%}"
    )


def is_detector(model: ModelFile) -> bool:
    """Whether it is a network of MTCNN in fp32: pictures in, scores and offsets out."""
    takes = [(info.name, info.dtype, info.shape[3:]) for info in model.inputs]
    gives = {info.name for info in model.outputs}
    pictures = [("images", np.float32, (3,))]
    return takes == pictures and {"scores", "offsets"} <= gives and model.precision == "fp32"


def pictures(model: ModelFile, faces: np.ndarray) -> np.ndarray:
    """What the network looks at: uint8 (n, height, width, 3).

    faces: uint8 (m, 112, 112, 3). P-Net gets them as they are and finds windows in them. The other
    two take one size: they get each face whole, and its quarters, which are mostly no faces.
    """
    side = model.inputs[0].shape[1]
    if isinstance(side, str):
        return faces
    half = faces.shape[1] // 2
    parts = [faces, *(faces[:, y : y + half, x : x + half] for y in (0, half) for x in (0, half))]
    size, how = (side, side), cv2.INTER_AREA
    return np.stack([cv2.resize(one, size, interpolation=how) for part in parts for one in part])


def compare(
    way: str,
    description: str,
    precision: str,
    outputs: dict[str, np.ndarray],
    expected: dict[str, np.ndarray],
) -> DetectorComparison:
    """Holds what one way gave against the reference, and its promise against that."""
    score = np.abs(outputs["scores"].astype(float) - expected["scores"])
    places = [name for name in expected if name != "scores"]
    place = np.concatenate(
        [np.abs(outputs[name].astype(float) - expected[name]).ravel() for name in places]
    )
    wanted = expected["scores"] > DECISION
    comparison = DetectorComparison(
        way=way,
        description=description,
        precision=precision,
        score_max=float(score.max()),
        score_mean=float(score.mean()),
        place_max=float(place.max()),
        place_mean=float(place.mean()),
        same_decision=float(np.mean((outputs["scores"] > DECISION) == wanted)),
        faces=float(wanted.mean()),
    )
    return replace(comparison, broken=broken(PROMISES[precision], comparison))


def broken(promise: Promise, found: DetectorComparison) -> list[str]:
    """What of the promise is not kept, a line each."""
    lines = []
    # Written so that a difference that is no number counts as broken.
    if promise.score is not None and not found.score_max <= promise.score:
        lines.append(f"a score is off by {found.score_max:.2g}, not {promise.score:g}")
    if promise.place is not None and not found.place_max <= promise.place:
        lines.append(f"a place is off by {found.place_max:.2g}, not {promise.place:g}")
    if promise.same_decision is not None and not found.same_decision >= promise.same_decision:
        lines.append(
            f"{found.same_decision:.2%} of the decisions are the same, not "
            f"{promise.same_decision:.1%}"
        )
    return lines
