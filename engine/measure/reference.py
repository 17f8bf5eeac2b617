"""PyTorch in a process of its own, for comparison: the engine knows nothing of it.

The other process is `python -m train reference`. It is fed through pipes: a JSON line with the
shape of an array, then its bytes; back comes a JSON line with seconds and faces. So neither side's
libraries and threads are in the other's way.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

from engine.contract import EngineError
from engine.model_file import ModelFile
from engine.session import Session


class TorchReference:
    """The networks of a face model in eager PyTorch, before them facenet-pytorch's MTCNN where
    whole frames are given; a context manager.

    min_face: smallest face to look for in frames, in pixels. what: name and version of what runs.
    EngineError where the model does not say which networks it holds, or PyTorch is not installed.
    """

    def __init__(self, model: Session | ModelFile, min_face: int = 40):
        training = json.loads(model.metadata.get("training", "{}"))
        if not {"network", "pose_network"} <= training.keys():
            raise EngineError(
                f"{model.path.name} does not say which networks it holds, so the same ones "
                "cannot be built in PyTorch: leave out --reference."
            )
        options = ["--network", training["network"], "--pose-network", training["pose_network"]]
        options += ["--min-face", str(min_face)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "train", "reference", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        self.what: str = self._answer()["what"]

    def time(self, array: np.ndarray) -> tuple[float, int]:
        """Seconds that the reference took, and faces there were.

        array: one frame, uint8 (height, width, 3), in which it finds and aligns the faces first;
        or aligned faces, uint8 (n, 112, 112, 3). Both RGB.
        """
        header = json.dumps(array.shape) + "\n"
        self._to.write(header.encode() + array.tobytes())
        self._to.flush()
        answer = self._answer()
        return answer["seconds"], answer["faces"]

    def close(self) -> None:
        self._to.close()
        self._process.wait()

    def __enter__(self) -> TorchReference:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _answer(self) -> dict:
        line = self._from.readline()
        if not line:
            raise EngineError("The reference stopped. Install it with `pip install .[train]`.")
        return json.loads(line)
