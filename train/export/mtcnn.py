"""Exports the three MTCNN networks of facenet-pytorch as ONNX files.

Paper: Zhang, Zhang, Li, Qiao, "Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks", 2016. The weights are those that ship inside facenet-pytorch.

All three take `images`, float32 N×H×W×3 RGB from 0 to 255, and normalise inside the graph. Not
uint8: the pyramid and the crops are means, and rounding them changes which of several overlapping
windows wins (see realtime.detection.area). Not N×3×H×W: that is how the images lie in memory, and
ONNX Runtime transposes them faster than NumPy or OpenCV.
"""

from __future__ import annotations

import importlib.metadata
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from train.export.models_json import MODELS, register, save_model
from train.files import file_sha256
from train.networks.facenet_pytorch import import_facenet_pytorch

NORMALISATION = "(images - 127.5) / 128, inside the graph"
TOLERANCE = 1e-5


def export_mtcnn(output_dir: Path) -> list[Path]:
    """Writes mtcnn_pnet.onnx, mtcnn_rnet.onnx and mtcnn_onet.onnx with their models.json entries.

    Each file is compared with torch on random images before it is registered; RuntimeError where
    an output is off by more than :data:`TOLERANCE`. Returns the three paths.
    """
    facenet = import_facenet_pytorch()
    stages = [
        (_PNetGraph(facenet.PNet()), (60, 80), ("offsets", "scores")),
        (_RNetGraph(facenet.RNet()), (24, 24), ("offsets", "scores")),
        (_ONetGraph(facenet.ONet()), (48, 48), ("offsets", "scores", "landmarks")),
    ]
    return [_export(graph, size, outputs, Path(output_dir)) for graph, size, outputs in stages]


class _Graph(nn.Module):
    """One facenet-pytorch network with float32 N×H×W×3 in and the face probability alone out."""

    name: str
    notes: str

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def _planes(self, images: torch.Tensor) -> torch.Tensor:
        return (images.permute(0, 3, 1, 2) - 127.5) * 0.0078125


class _PNetGraph(_Graph):
    name = "pnet"
    notes = (
        "Proposals: one 12×12 window every 2 pixels. offsets: N×4×rows×columns, x1 y1 x2 y2 "
        "corrections in window sizes; scores: N×rows×columns, probability of a face."
    )

    def forward(self, images):
        offsets, probabilities = self.network(self._planes(images))
        return offsets, probabilities[:, 1]


class _RNetGraph(_Graph):
    name = "rnet"
    notes = (
        "Refinement of 24×24 crops. offsets: N×4, x1 y1 x2 y2 corrections in crop sizes; "
        "scores: N, probability of a face."
    )

    def forward(self, images):
        offsets, probabilities = self.network(self._planes(images))
        return offsets, probabilities[:, 1]


class _ONetGraph(_Graph):
    name = "onet"
    notes = (
        "Final boxes and landmarks from 48×48 crops. offsets: N×4, x1 y1 x2 y2 corrections in "
        "crop sizes; scores: N, probability of a face; landmarks: N×5×2, x and y of the five "
        "points in crop sizes from the crop's top left."
    )

    def forward(self, images):
        offsets, points, probabilities = self.network(self._planes(images))
        return offsets, probabilities[:, 1], points.reshape(-1, 2, 5).permute(0, 2, 1)


class _SplitPReLU(nn.Module):
    """PReLU as ``slope·x + (1 - slope)·relu(x)``: the same function, and a quarter less time for
    P-Net, because ONNX Runtime's own PRelu kernel is slow on a CPU."""

    def __init__(self, prelu: nn.PReLU):
        super().__init__()
        self.slope = nn.Parameter(prelu.weight.detach().clone(), requires_grad=False)

    def forward(self, x):
        slope = self.slope.view(1, -1, *([1] * (x.dim() - 2)))
        return slope * x + (1 - slope) * torch.relu(x)


def _split_prelus(network: nn.Module) -> None:
    for name, layer in list(network.named_children()):
        if isinstance(layer, nn.PReLU):
            setattr(network, name, _SplitPReLU(layer))


def _export(graph: _Graph, size: tuple[int, int], outputs: tuple[str, ...], folder: Path) -> Path:
    graph.eval()
    images, expected = _reference(graph, size)
    _split_prelus(graph.network)
    example = torch.rand(2, *size, 3) * 255
    free = {0: "batch", 1: "height", 2: "width"} if graph.name == "pnet" else {0: "batch"}
    with warnings.catch_warnings():
        # Deprecations inside torch's own exporter; nothing that a user of it can change.
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.onnx.export(
            graph,
            (example,),
            input_names=["images"],
            output_names=list(outputs),
            dynamic_shapes={"images": free},
            dynamo=True,
            verbose=False,
        )
    assert program is not None, "of dynamo"
    model = program.model_proto
    _name_free_dimensions(model)
    path = folder / f"mtcnn_{graph.name}.onnx"
    source = f"facenet-pytorch {importlib.metadata.version('facenet-pytorch')}"
    metadata = {
        "source": source,
        "licence": "MIT",
        "paper": "Zhang et al. 2016, MTCNN",
        "weights": f"{graph.name}.pt sha256 {_weights_sha256(graph.name)}",
        "normalisation": NORMALISATION,
        "outputs": ", ".join(outputs),
    }
    save_model(model, path, metadata)
    _compare(path, images, expected)
    register(
        path,
        made_by="python -m train export mtcnn",
        source=f"{source}, {metadata['weights']}",
        licence="MIT",
        notes=graph.notes,
    )
    return path


def _name_free_dimensions(model: onnx.ModelProto) -> None:
    """Plain names in place of the exporter's formulas such as ``((height - 3)//2) - 3``."""
    for output in model.graph.output:
        names = iter(("rows", "columns"))
        for dimension in output.type.tensor_type.shape.dim:
            if dimension.dim_param and dimension.dim_param != "batch":
                dimension.dim_param = next(names)


def _reference(graph: _Graph, size: tuple[int, int]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Random images and what the untouched network makes of them in torch."""
    height, width = (73, 101) if graph.name == "pnet" else size
    images = 255 * np.random.default_rng(0).random((3, height, width, 3), dtype=np.float32)
    with torch.no_grad():
        outputs = graph(torch.from_numpy(images))
    return images, [output.numpy() for output in outputs]


def _compare(path: Path, images: np.ndarray, expected: list[np.ndarray]) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for name, ours, theirs in zip(
        names, session.run(None, {"images": images}), expected, strict=True
    ):
        difference = float(np.abs(ours - theirs).max())
        if not difference < TOLERANCE:
            raise RuntimeError(f"{path.name}: {name} is off by {difference:.2e} from torch.")


def _weights_sha256(name: str) -> str:
    package = Path(import_facenet_pytorch().__path__[0])
    return file_sha256(package / "data" / f"{name}.pt")


@dataclass(frozen=True)
class ExportMtcnn:
    """The three MTCNN networks of facenet-pytorch as ONNX files."""

    output: Path = MODELS
    """Folder to write to."""

    def run(self) -> None:
        for path in export_mtcnn(self.output):
            print(path)
