"""The real files, where they are: their own numbers on real people."""

import csv

import cv2
import numpy as np
import pytest
import torch

import train.networks.recognition_weights as recognition_weights
from realtime.align import align, similarity_transform
from realtime.detection.mtcnn import Detector
from tests.realtime.support.london import LONDON, needs_london
from train.data.identity import identity_of
from train.errors import UserError
from train.networks.identity import load_identity
from train.networks.licensed_identity import LICENSED


@pytest.fixture(scope="module")
def pairs():
    """Twelve people, neutral and smiling: uint8 (12, 112, 112, 3) each."""
    with open(f"{LONDON}/people.csv", newline="") as file:
        names = [row["face_id"] for row in csv.DictReader(file)][:12]
    found = []
    with Detector() as detector:
        for look in ("neutral", "smiling"):
            faces = []
            for name in names:
                picture = cv2.imread(f"{LONDON}/{name}_{look}.jpg")[:, :, ::-1]
                face = detector.detect(picture)[0]
                faces.append(align(picture, similarity_transform(face.landmarks)))
            found.append(torch.from_numpy(np.stack(faces)))
    return found


@needs_london
@pytest.mark.parametrize("name", LICENSED)
def test_the_same_person_is_nearest(name, pairs, monkeypatch):
    monkeypatch.setattr(recognition_weights, "FOLDER", LONDON.parent / "identity")
    network = load_identity(name)
    with torch.no_grad():
        neutral, smiling = (identity_of(network, faces) for faces in pairs)
    assert neutral.shape == (12, 512)
    torch.testing.assert_close(neutral.norm(dim=1), torch.full((12,), 512**0.5))
    alike = neutral @ smiling.T / 512
    assert (alike.argmax(dim=1) == torch.arange(12)).sum() >= 11


def test_what_is_absent_is_said_with_where_it_comes_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"dlib: there is no data/identity/.*PyPI"):
        load_identity("dlib")
