"""What the application is compared with: facenet-pytorch's MTCNN, then both branches in PyTorch.

A process that `python -m realtime bench --reference` and `python -m engine bench --reference` feed
through pipes (engine.reference): for each array a JSON line with its shape, then its bytes; back
comes a JSON line with seconds and faces. A frame (uint8 H×W×3, RGB) goes through all of it,
aligned faces (uint8 N×112×112×3) through the networks alone.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import torch

from realtime.align import align, similarity_transform
from train.networks.face_model import FaceModel
from train.networks.facenet_pytorch import import_facenet_pytorch
from train.options import Count


class Reference:
    """The usual way to do it in PyTorch: MTCNN, alignment, eager networks on the CPU."""

    def __init__(self, network: str, pose_network: str, min_face: int):
        self.detector = import_facenet_pytorch().MTCNN(
            min_face_size=min_face, keep_all=True, device="cpu"
        )
        # Fresh weights take exactly as long as trained ones.
        self.model = FaceModel(network, pose_network, classes=8).eval()

    @torch.inference_mode()
    def __call__(self, image: np.ndarray) -> int:
        """Process one frame, or aligned faces; returns how many faces there were."""
        if image.ndim == 4:
            return self._recognise(image)
        boxes, _, landmarks = self.detector.detect(image, landmarks=True)
        if boxes is None:
            return 0
        crops = [
            align(image, similarity_transform(np.asarray(points, float))) for points in landmarks
        ]
        return self._recognise(np.stack(crops))

    def _recognise(self, faces: np.ndarray) -> int:
        output = self.model(torch.from_numpy(faces))
        output.expression.softmax(dim=1).numpy()
        return len(faces)


def serve(reference: Reference, requests: BinaryIO, answers) -> None:
    """Answer until `requests` ends."""
    what = f"facenet-pytorch MTCNN + PyTorch {torch.__version__} eager"
    print(json.dumps({"what": what}), file=answers, flush=True)
    while header := requests.readline():
        shape = json.loads(header)
        # A bytearray, for PyTorch warns of memory that it may not write to.
        content = bytearray(requests.read(int(np.prod(shape))))
        image = np.frombuffer(content, np.uint8).reshape(shape)
        started = time.perf_counter()
        faces = reference(image)
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "faces": faces}), file=answers, flush=True)


def serve_standard_streams(network: str, pose_network: str, min_face: int) -> None:
    """:func:`serve` on standard input and output."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print must not mix in
    serve(Reference(network, pose_network, min_face), sys.stdin.buffer, answers)


@dataclass(frozen=True)
class ServeReference:
    """The PyTorch side of `python -m realtime bench --reference`, which starts it by itself."""

    network: str
    pose_network: str
    min_face: Count = 40

    def run(self) -> None:
        serve_standard_streams(self.network, self.pose_network, self.min_face)
