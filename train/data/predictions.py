"""What a model says of prepared faces."""

from __future__ import annotations

import numpy as np
import torch

from train.metrics import Predictions
from train.pose import turned


@torch.no_grad()
def predict(model, loader, rotation: np.ndarray, fabric) -> Predictions:
    """Run `model` (train.networks.face_model.FaceModel) over a loader in evaluation mode.

    rotation: (n,), by how many degrees alignment turned each face clockwise.
    """
    model.eval()
    probabilities, bins, poses = [], [], []
    for batch in loader:
        with fabric.autocast():
            output = model(batch.faces.to(fabric.device))
        probabilities.append(output.expression.float().softmax(dim=1).cpu())
        bins.append(output.yaw_bin.argmax(dim=1).cpu())
        poses.append(output.pose.float().cpu())
    pose = turned(torch.cat(poses), -torch.from_numpy(np.asarray(rotation, dtype=np.float32)))
    return Predictions(torch.cat(probabilities).numpy(), torch.cat(bins).numpy(), pose.numpy())
