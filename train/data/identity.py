"""f_id of every prepared face, computed once: E_id is frozen, so it never changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from train.data.once import computed_once
from train.data.prepared import PreparedFaces
from train.networks.face_input import FaceInput
from train.networks.identity import Identity
from train.networks.mobilefacenet import FEATURE_DIM


def identity_features(
    identity: Identity, data: PreparedFaces, folder: Path, device: torch.device
) -> np.ndarray:
    """f_id of all faces, float32 (n, 512), memory-mapped.

    Kept in `folder`, beside the faces, as ``identity-<first 12 digits of the network's
    fingerprint>.npy``.
    """
    identity.to(device)
    path = folder / f"identity-{identity.fingerprint[:12]}.npy"
    return computed_once(
        path, data, FEATURE_DIM, lambda faces: identity_of(identity, faces), device
    )


def identity_of(identity: Identity, faces: Tensor) -> Tensor:
    """f_id (n, 512) of aligned faces, uint8 (n, 112, 112, channels), on the network's device."""
    return identity(FaceInput(112, faces.shape[3]).to(faces.device)(faces))
