"""The people of the London set as a webcam would see them.

A folder with people.csv (face_id, face_gender, face_eth) and, for each person, ID_neutral.jpg and
ID_smiling.jpg (DeBruine & Jones 2017, Face Research Lab London Set, CC BY 4.0).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from realtime.align import align, rotation_of, similarity_transform
from realtime.detection.mtcnn import Detector
from realtime.faces import HeadPose
from realtime.head import turned_head
from realtime.measure.vary import exposed, moved_and_lit, noisy
from realtime.number_file import ReferenceFileError
from realtime.recognise import Recogniser

CHANGES = {
    "the head turned by 15°": ((15, 0, 0), (-15, 0, 0)),
    "raised or lowered by 12°": ((0, 12, 0), (0, -12, 0)),
    "half a stop more or less light": ((0, 0, 0.5), (0, 0, -0.5)),
}
"""Name → yaw, pitch and stops of light of its pictures."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person and both photographs, uint8 (h, w, 3), RGB: `neutral` and `smiling`."""

    name: str
    gender: str
    ethnicity: str
    neutral: np.ndarray
    smiling: np.ndarray


@dataclass(frozen=True, slots=True)
class Readings:
    """What the network said of n pictures: probabilities (n, 8) and a pose each."""

    probabilities: np.ndarray
    poses: list[HeadPose]

    def of(self, rows: np.ndarray) -> Readings:
        return Readings(self.probabilities[rows], [self.poses[row] for row in rows])


def people(folder: Path) -> list[Person]:
    """Everybody in the folder; ReferenceFileError where it is not the London set."""
    try:
        with (folder / "people.csv").open(newline="") as file:
            return [
                Person(
                    row["face_id"],
                    row["face_gender"],
                    row["face_eth"],
                    _picture(folder / f"{row['face_id']}_neutral.jpg"),
                    _picture(folder / f"{row['face_id']}_smiling.jpg"),
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError) as error:
        raise ReferenceFileError(f"{folder} does not hold the London set ({error}).") from error


def _picture(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path))
    if picture is None:
        raise OSError(f"{path.name} cannot be read")
    return np.ascontiguousarray(picture[:, :, ::-1])


class Camera:
    """Takes pictures of people: finds and aligns the face as the program does, and reads it."""

    def __init__(self, detector: Detector, recogniser: Recogniser, seed: int):
        self._detector = detector
        self._recogniser = recogniser
        self.random = np.random.default_rng(seed)

    def varied(self, photograph: np.ndarray, count: int) -> Readings:
        """`count` pictures turned by ±4°, moved by ±2 pixels, in other light, with noise."""
        return self._seen([moved_and_lit(photograph, self.random, 4, 2) for _ in range(count)])

    def changed(self, photograph: np.ndarray, changes) -> Readings:
        """One picture for each yaw, pitch and stops of light."""
        landmarks = self._detector.detect(photograph)[0].landmarks
        pictures = []
        for yaw, pitch, stops in changes:
            turned = turned_head(photograph, landmarks, yaw, pitch) if yaw or pitch else photograph
            pictures.append(noisy(exposed(turned, stops), self.random))
        return self._seen(pictures)

    def aligned(self, photograph: np.ndarray) -> np.ndarray:
        face = self._detector.detect(photograph)[0]
        return align(photograph, similarity_transform(face.landmarks))

    def read(self, crops: list[np.ndarray], rotations: list[float] | None = None) -> Readings:
        """What the network says of aligned faces."""
        found = []
        for start in range(0, len(crops), 64):
            part = crops[start : start + 64]
            turned = rotations[start : start + 64] if rotations else [0.0] * len(part)
            found += self._recogniser.recognise(np.stack(part), turned)
        return Readings(np.array([one for one, _ in found]), [pose for _, pose in found])

    def _seen(self, pictures: list[np.ndarray]) -> Readings:
        """Pictures in which no face is found are left out."""
        crops, rotations = [], []
        for picture in pictures:
            for face in self._detector.detect(picture)[:1]:
                transform = similarity_transform(face.landmarks)
                crops.append(align(picture, transform))
                rotations.append(rotation_of(transform))
        return self.read(crops, rotations)
