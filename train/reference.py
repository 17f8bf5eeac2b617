"""What the application is compared with: facenet-pytorch's MTCNN, then both branches in PyTorch.

A process that `python -m realtime bench --reference` feeds through pipes: for each frame a JSON
line with its shape, then its bytes (uint8 H×W×3, RGB); back comes a JSON line with seconds and
faces. So neither side's libraries and threads are in the other's way.
"""

from __future__ import annotations

import json
import sys
import time
from typing import BinaryIO

import numpy as np
import torch

from realtime.align import align, similarity_transform
from train.mtcnn import import_facenet_pytorch
from train.networks.face_model import FaceModel


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
        """Process one frame; returns how many faces there were."""
        boxes, _, landmarks = self.detector.detect(image, landmarks=True)
        if boxes is None:
            return 0
        crops = [align(image, similarity_transform(np.asarray(points, float))) for points in landmarks]
        output = self.model(torch.from_numpy(np.stack(crops)))
        output.expression.softmax(dim=1).numpy()
        return len(crops)


def serve(reference: Reference, requests: BinaryIO, answers) -> None:
    """Answer frames until `requests` ends."""
    what = f"facenet-pytorch MTCNN + PyTorch {torch.__version__} eager"
    print(json.dumps({"what": what}), file=answers, flush=True)
    while header := requests.readline():
        shape = json.loads(header)
        image = np.frombuffer(requests.read(int(np.prod(shape))), np.uint8).reshape(shape)
        started = time.perf_counter()
        faces = reference(image)
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "faces": faces}), file=answers, flush=True)


def serve_standard_streams(network: str, pose_network: str, min_face: int) -> None:
    """:func:`serve` on standard input and output."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print must not mix in
    serve(Reference(network, pose_network, min_face), sys.stdin.buffer, answers)
