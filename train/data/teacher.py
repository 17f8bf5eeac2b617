"""What a trained run, or a model file, says of every prepared face, computed once: a teacher no longer changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from train.data.once import computed_once
from train.data.prepared import PreparedFaces
from train.errors import UserError
from train.files import file_sha256
from train.runs.folder import RunFolder
from train.runs.load import load_model


def teacher_probabilities(
    run: Path, data: PreparedFaces, folder: Path, device: torch.device
) -> np.ndarray:
    """The expression probabilities of the best epoch of `run` for all faces, each the mean of the
    face and its mirror image: float32 (n, classes), memory-mapped.

    run: its folder, or a model file as `export` writes it, whose decision is part of its word.
    Kept in `folder`, beside the faces, as ``teacher-<first 12 digits of the checkpoint's
    SHA-256>.npy``. UserError where the run has other classes than the data.
    """
    if run.suffix == ".onnx":
        return _probabilities_of_file(run, data, folder)
    model, config = load_model(run)
    if list(data.classes) != config["classes"]:
        raise UserError(f"--teacher {run} knows other classes than the data.")
    model.to(device, memory_format=torch.channels_last)

    def probabilities(faces: Tensor) -> Tensor:
        pixels = model.expression_input(faces)
        views = (pixels, pixels.flip(3))
        return sum(model.expression(view).softmax(dim=1) for view in views) / len(views)

    path = folder / f"teacher-{file_sha256(RunFolder(run).best)[:12]}.npy"
    return computed_once(path, data, len(data.classes), probabilities, device)


def _probabilities_of_file(path: Path, data: PreparedFaces, folder: Path) -> np.ndarray:
    import onnxruntime  # half a second that only this kind of teacher needs

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    labels = session.get_modelmeta().custom_metadata_map.get("labels", "[]")
    if list(data.classes) != json.loads(labels):
        raise UserError(f"--teacher {path} knows other classes than the data.")

    def probabilities(faces: Tensor) -> Tensor:
        colour = faces.expand(-1, -1, -1, 3).contiguous()
        views = (colour, colour.flip(2))
        said = [session.run(["expression"], {"faces": view.numpy()})[0] for view in views]
        return torch.from_numpy(np.mean(said, axis=0))

    kept = folder / f"teacher-{file_sha256(path)[:12]}.npy"
    return computed_once(kept, data, len(data.classes), probabilities, torch.device("cpu"))


def teachers_word(
    runs: Sequence[Path], data: PreparedFaces, folder: Path, device: torch.device
) -> np.ndarray:
    """The mean of what several teachers say of all faces: float32 (n, classes)."""
    each = [teacher_probabilities(run, data, folder, device) for run in runs]
    return np.asarray(np.mean(each, axis=0, dtype=np.float32))


def taught(votes: Tensor, teacher: Tensor, share: float) -> Tensor:
    """Distributions (n, classes) that are the teachers' by `share` and the votes' by the rest;
    the teachers' alone where nobody voted."""
    voted = votes.sum(dim=1, keepdim=True) > 0
    return torch.where(voted, torch.lerp(votes, teacher, share), teacher)
