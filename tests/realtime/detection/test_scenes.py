"""Ids in ten made-up scenes with known truth, through the real detector."""

import numpy as np
import pytest

pytest.importorskip("skimage", reason="the scenes are made from scikit-image's astronaut")

from realtime.detection.finder import FaceFinder
from realtime.detection.mtcnn import Detector
from realtime.sources.frame import Frame
from realtime.timing import StageTimer
from tests.realtime.support.scenes import FPS, crossing, occluded


@pytest.fixture(scope="module")
def detector():
    with Detector(min_face=40) as detector:
        yield detector


def follow(detector, scene):
    """For each person the ids that were given, and shares of visible faces that were found."""
    finder = FaceFinder(detector, StageTimer())
    ids, seen, visible = {}, 0, 0
    for index, (image, truths) in enumerate(scene):
        faces = finder.find(Frame(image, index, index / FPS))
        for truth in (truth for truth in truths if truth.visible):
            visible += 1
            near = [
                face
                for face in faces
                if np.linalg.norm(face.landmarks.mean(axis=0) - truth.centre) < 0.4 * truth.size
            ]
            if near:
                seen += 1
                ids.setdefault(truth.who, set()).add(near[0].track_id)
    return ids, seen / visible


@pytest.mark.slow
@pytest.mark.parametrize(
    "scene", [*(("crossing", n) for n in range(7)), *(("occluded", n) for n in range(3))]
)
def test_ids_stay_with_their_faces(detector, scene):
    kind, seed = scene
    ids, followed = follow(detector, (crossing if kind == "crossing" else occluded)(seed))

    assert all(len(given) == 1 for given in ids.values()), ids
    assert len(set().union(*ids.values())) == len(ids), "nobody has another one's id"
    assert followed >= 0.99
