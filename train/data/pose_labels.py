"""Where the pose labels of a dataset come from: a CSV, our own pose branch, or nowhere.

All give yaw, pitch and roll in degrees in the picture as stored (realtime.faces.HeadPose), NaN
where unknown, and a name for prepared.json.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors

from realtime.faces import HeadPose
from train.errors import UserError
from train.files import file_sha256, read_csv
from train.runs.folder import RunFolder
from train.runs.load import load_model

# Each derives from Exception alone, so there is no common class to name.
LOAD_ERRORS = (
    onnxruntime_errors.Fail,
    onnxruntime_errors.InvalidArgument,
    onnxruntime_errors.InvalidGraph,
    onnxruntime_errors.InvalidProtobuf,
)
UNKNOWN = (float("nan"),) * 3
Angles = tuple[float, float, float]


def pose_labels(table: Path | None, estimator: Path | None) -> PoseLabels:
    """The labels from a CSV, from an estimator (a run folder or an exported ONNX file), or none."""
    if table and estimator:
        raise UserError("Give --pose or --label-pose, not both.")
    if table:
        return PoseTable(table)
    return EstimatedPose(estimator) if estimator else PoseLabels()


class PoseLabels:
    """No pose labels; the others derive from it."""

    name = "none"

    def check(self, ids: Iterable[str]) -> None:
        """UserError where these pictures cannot be the ones that the labels are for."""

    def angles(self, picture_id: str, face: np.ndarray, rotation: float) -> Angles:
        """Yaw, pitch, roll of a picture, whose aligned face, uint8 (112, 112, 1 or 3), was turned
        clockwise by `rotation` degrees."""
        return UNKNOWN


class PoseTable(PoseLabels):
    """A CSV with the columns image (the id of a picture in labels.csv), yaw, pitch and roll."""

    COLUMNS = ("image", "yaw", "pitch", "roll")

    def __init__(self, path: Path):
        if not path.is_file():
            raise UserError(f"{path} is missing: it should give the pose of each picture.")
        self.path, self.name = path, path.name
        rows = read_csv(path, self.COLUMNS, "mend that line")
        self._rows = {row["image"]: self._angles_of(row) for row in rows}

    def check(self, ids: Iterable[str]) -> None:
        example = ""
        for example in ids:
            if example in self._rows:
                return
        raise UserError(
            f"{self.path} names none of the pictures: the column image should hold names like "
            f"{example}."
        )

    def angles(self, picture_id: str, face: np.ndarray, rotation: float) -> Angles:
        return self._rows.get(picture_id, UNKNOWN)

    def _angles_of(self, row: dict[str, str]) -> Angles:
        try:
            yaw, pitch, roll = (float(row[name]) for name in self.COLUMNS[1:])
        except (TypeError, ValueError):
            name = row["image"]
            raise UserError(f"{self.path}: the pose of {name} is not three numbers.") from None
        return yaw, pitch, roll


class EstimatedPose(PoseLabels):
    """What our own pose branch sees in the aligned face, turned back into the picture."""

    def __init__(self, path: Path):
        if path.is_dir():
            weights, self._estimate = RunFolder(path).best, _from_run(path)
        elif path.is_file():
            weights, self._estimate = path, _from_onnx(path)
        else:
            raise UserError(f"{path} is neither a run folder nor an ONNX file: no pose estimator.")
        self.name = f"pose branch of {path.name}, {weights.name} sha256 {file_sha256(weights)}"

    def angles(self, picture_id: str, face: np.ndarray, rotation: float) -> Angles:
        seen = HeadPose(*(float(angle) for angle in self._estimate(face[None])[0]))
        pose = seen.turned(-rotation)
        return pose.yaw, pose.pitch, pose.roll


def _from_run(path: Path):
    """A function from aligned faces, uint8 (n, 112, 112, 1 or 3), to degrees (n, 3) in them."""
    model, _ = load_model(path)

    def estimate(faces: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            degrees = model(torch.from_numpy(faces)).pose
        return degrees.numpy()

    return estimate


def _from_onnx(path: Path):
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except LOAD_ERRORS as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise UserError(f"{path} is not an ONNX file: {reason}") from None
    inputs = [node.name for node in session.get_inputs()]
    if inputs != ["faces"] or "pose" not in [node.name for node in session.get_outputs()]:
        raise UserError(f"{path} has no output pose for an input faces: export it from a run.")

    def estimate(faces: np.ndarray) -> np.ndarray:
        colour = np.repeat(faces, 3, axis=3) if faces.shape[3] == 1 else faces
        return session.run(["pose"], {"faces": colour})[0]

    return estimate
