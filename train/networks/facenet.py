"""The recognition networks of facenet-pytorch: fetched once, believed only if nothing changed them.

facenet-pytorch fetches its weights unchecked: a transfer that breaks off, or a proxy's answer,
would be kept and read as weights. It publishes no hashes either; those below are what projects that
pin the two files have recorded of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from train.errors import UserError
from train.files import file_sha256
from train.networks.facenet_pytorch import import_facenet_pytorch

RELEASE = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"


@dataclass(frozen=True)
class Published:
    """One of the library's networks: its name there, the file of its weights and their SHA-256."""

    name: str
    file: str
    sha256: str


FACENET = {
    "facenet-casia": Published(
        "casia-webface",
        "20180408-102900-casia-webface.pt",
        "7a67afdbbc995fce5e10128675e318799a70698c2f433ba75dd7eb9a2f096e7d",
    ),
    "facenet-vggface2": Published(
        "vggface2",
        "20180402-114759-vggface2.pt",
        "281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
    ),
}


def load_facenet(spec: str) -> nn.Module:
    """InceptionResnetV1 with the weights that `spec`, a key of FACENET, names.

    They are fetched the first time, to where the library looks for them
    (``$TORCH_HOME/checkpoints``). UserError where they cannot be, or are not those published.
    """
    facenet, published = import_facenet_pytorch(), FACENET[spec]
    path = Path(facenet.models.inception_resnet_v1.get_torch_home(), "checkpoints", published.file)
    if not path.is_file():
        _fetch(spec, published, path)
    if file_sha256(path) != published.sha256:
        raise UserError(
            f"--identity {spec}: {path} is not the file that was published. Delete it, and it is "
            "fetched again."
        )
    return facenet.InceptionResnetV1(pretrained=published.name)


def _fetch(spec: str, published: Published, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(RELEASE + published.file, str(path))
    except OSError as error:
        raise UserError(
            f"--identity {spec}: its weights could not be fetched ({error}). Connect once, or give "
            "the path of a MobileFaceNet state dict."
        ) from None
