"""facenet-pytorch where torchvision cannot be imported either."""

from __future__ import annotations

import importlib
import sys
import types

import numpy as np
import torch


def import_facenet_pytorch() -> types.ModuleType:
    """The facenet_pytorch module, also where torchvision cannot be imported.

    facenet-pytorch needs two functions of torchvision, which has no build for the CPU build of
    torch on the package index. Where the import fails, five stand-in modules with the two
    functions take its place while facenet-pytorch is imported; left in place they would break
    torch.onnx.
    """
    if "facenet_pytorch" in sys.modules:
        return sys.modules["facenet_pytorch"]
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError):
        _forget_torchvision()
    else:
        return importlib.import_module("facenet_pytorch")
    sys.modules.update(_torchvision_stand_ins())
    try:
        return importlib.import_module("facenet_pytorch")
    finally:
        _forget_torchvision()


def _forget_torchvision() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]


def _torchvision_stand_ins() -> dict[str, types.ModuleType]:
    functional = _module("torchvision.transforms.functional", to_tensor=_to_tensor)
    boxes = _module("torchvision.ops.boxes", batched_nms=_batched_nms)
    transforms = _module("torchvision.transforms", functional=functional)
    ops = _module("torchvision.ops", boxes=boxes)
    top = _module("torchvision", transforms=transforms, ops=ops)
    return {module.__name__: module for module in (top, transforms, functional, ops, boxes)}


def _module(name: str, **contents: object) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(contents)
    return module


def _to_tensor(image: np.ndarray) -> torch.Tensor:
    """float32 H×W×C to C×H×W, not scaled: torchvision scales only uint8, never handed over here."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def _batched_nms(boxes, scores, groups, threshold):
    """Indices kept by greedy non-maximum suppression within each group, best score first."""
    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.int64)
    # Far enough apart that boxes of different groups never touch.
    shifted = (boxes + (groups.to(boxes) * (boxes.max() + 1))[:, None]).numpy()
    x1, y1, x2, y2 = shifted.T
    areas = (x2 - x1) * (y2 - y1)
    order = np.argsort(-scores.numpy(), kind="stable")
    kept = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(best)
        width = np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest])
        height = np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        order = rest[shared <= threshold * (areas[best] + areas[rest] - shared)]
    return torch.as_tensor(np.array(kept))
