"""What a frozen network says of every prepared face, computed once and kept beside the faces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from train.data.prepared import PreparedFaces
from train.errors import UserError
from train.files import read_array, whole
from train.progress import progress

BATCH = {"cpu": 16, "cuda": 512}
"""Faces at a time. More than 16 do not fit a CPU's caches: 128 at once take twice as long."""


def computed_once(
    path: Path,
    data: PreparedFaces,
    width: int,
    compute: Callable[[Tensor], Tensor],
    device: torch.device,
) -> np.ndarray:
    """float32 (n, width), memory-mapped: `compute` of all faces as prepared, not augmented.

    compute: uint8 (b, 112, 112, channels) on `device` → (b, width). The numbers are kept in `path`,
    which lies beside the faces, and made again when those are newer or of another number.
    """
    if _is_current(path, path.parent / "faces.npy", (len(data), width)):
        return np.load(path, mmap_mode="r")
    with whole(path) as part:
        _compute(part, data, width, compute, device, title=path.stem)
    return np.load(path, mmap_mode="r")


def _compute(part: Path, data: PreparedFaces, width: int, compute, device, title: str) -> None:
    found = np.lib.format.open_memmap(part, mode="w+", dtype=np.float32, shape=(len(data), width))
    with torch.inference_mode(), progress(total=len(data), desc=title, unit="face") as done:
        count = BATCH[device.type]
        for start in range(0, len(data), count):
            faces = torch.from_numpy(np.array(data.faces[start : start + count])).to(device)
            found[start : start + count] = compute(faces).float().cpu().numpy()
            done.update(len(faces))
    found.flush()


def _is_current(path: Path, faces: Path, shape: tuple[int, int]) -> bool:
    if not path.is_file() or path.stat().st_mtime < faces.stat().st_mtime:
        return False
    try:
        return read_array(path, "it is made again", mmap_mode="r").shape == shape
    except UserError:
        return False
