"""f_id of every prepared face, computed once: E_id is frozen, so it never changes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from train.data.prepared import PreparedFaces
from train.networks.encoders import FaceInput
from train.networks.identity import FEATURE_DIM, Identity

BATCH = 128


def identity_features(
    identity: Identity, data: PreparedFaces, folder: Path, device: torch.device
) -> np.ndarray:
    """f_id of all faces, float32 (n, 512), memory-mapped; of the faces as prepared, not augmented.

    They are kept in `folder`, beside the faces, as ``identity-<first 12 digits of the network's
    fingerprint>.npy``, and made again when the faces are newer or of another number.
    """
    path = folder / f"identity-{identity.fingerprint[:12]}.npy"
    if _is_current(path, folder / "faces.npy", len(data)):
        return np.load(path, mmap_mode="r")
    part = path.with_suffix(".part")
    features = np.lib.format.open_memmap(
        part, mode="w+", dtype=np.float32, shape=(len(data), FEATURE_DIM)
    )
    pixels_of = FaceInput(size=112, channels=data.faces.shape[3]).to(device)
    identity.to(device)
    with torch.inference_mode(), tqdm(total=len(data), desc="f_id", unit="face") as progress:
        for start in range(0, len(data), BATCH):
            faces = torch.from_numpy(np.array(data.faces[start : start + BATCH])).to(device)
            features[start : start + BATCH] = identity(pixels_of(faces)).float().cpu().numpy()
            progress.update(len(faces))
    features.flush()
    del features
    os.replace(part, path)
    return np.load(path, mmap_mode="r")


def _is_current(path: Path, faces: Path, count: int) -> bool:
    if not path.is_file() or path.stat().st_mtime < faces.stat().st_mtime:
        return False
    return np.load(path, mmap_mode="r").shape == (count, FEATURE_DIM)
