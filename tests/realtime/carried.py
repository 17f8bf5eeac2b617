"""How near do carried faces stay to those that the whole cascade sees, and is none left out?

    python -m tests.realtime.carried --sources tests/data/astronaut.mp4 street.mp4

The cascade itself moves where a picture is shifted by a pixel, so that is measured beside it: much
nearer than that nothing carried can be. Prints tables in Markdown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import tyro
from tqdm import tqdm

from realtime.detection.boxes import overlap
from realtime.detection.finder import FaceFinder
from realtime.detection.mtcnn import Detector
from realtime.faces import Face
from realtime.sources.frame import Frame
from realtime.sources.open import open_source
from realtime.timing import StageTimer
from tests.realtime.support.paths import CLIP

NEAR = 0.02
"""Of the face size: the mean distance of the five landmarks that is asked for."""
SURE = 0.9
"""Score from which the cascade is sure of a face."""
SAME = 0.4
"""Boxes that share this part of the smaller one belong to one face."""
SOON = 5
"""Frames within which a face should be found."""


@dataclass(frozen=True)
class Options:
    """Compare carried faces with the whole cascade on every frame, and the cascade with itself."""

    sources: tuple[str, ...] = (str(CLIP),)
    """Videos."""
    frames: int | None = None
    """At most how many frames of each."""
    min_face: int = 40
    """Smallest face to look for, in pixels."""


@dataclass
class Compared:
    """Mean distances of the landmarks, in face sizes, of each face in each frame; for how many
    frames on end each face that the cascade is sure of was missing, 0 where it was not."""

    carried: list[float] = field(default_factory=list)
    shifted: list[float] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)


def distance(face: Face, other: Face) -> float:
    """Mean distance between the landmarks of two faces, in face sizes."""
    return float(np.linalg.norm(face.landmarks - other.landmarks, axis=1).mean() / other.size)


def shifted_by_one(detector: Detector, image: np.ndarray) -> list[Face]:
    """What the cascade sees in the picture moved by a pixel to the right and down, moved back."""
    moved = cv2.copyMakeBorder(image, 1, 0, 1, 0, cv2.BORDER_REPLICATE)[:-1, :-1]
    return [
        replace(face, box=face.box - 1, landmarks=face.landmarks - 1)
        for face in detector.detect(np.ascontiguousarray(moved))
    ]


def compare(finder: FaceFinder, frames: Iterable[Frame]) -> Compared:
    compared, waits = Compared(), Waits()
    for frame in frames:
        carried = finder.find(frame)
        seen = finder.detector.detect(frame.image)
        shifted = shifted_by_one(finder.detector, frame.image)
        compared.missing += waits.of(seen, carried)
        if frame.index:  # in the first one, nothing is carried
            compared.carried += _distances(carried, seen)
            compared.shifted += _distances(shifted, seen)
    return compared


class Waits:
    """Counts for how many frames on end faces are missing that the cascade is sure of."""

    def __init__(self):
        self._missing: list[tuple[np.ndarray, int]] = []

    def of(self, seen: list[Face], found: list[Face]) -> list[int]:
        """For each face of the next frame that is seen for sure, 0 where it is found."""
        counts, missing = [], []
        for face in (face for face in seen if face.score > SURE):
            count = 0
            if _partner(face, found) is None:
                before = [n for box, n in self._missing if _same(face.box, box)]
                count = 1 + max(before, default=0)
                missing.append((face.box, count))
            counts.append(count)
        self._missing = missing
        return counts


def _distances(faces: list[Face], seen: list[Face]) -> Iterator[float]:
    for face in seen:
        if (partner := _partner(face, faces)) is not None:
            yield distance(partner, face)


def _partner(face: Face, others: list[Face]) -> Face | None:
    """The same face among others, None where it is not there."""
    same = [other for other in others if _same(face.box, other.box)]
    return min(same, key=lambda other: distance(other, face), default=None)


def _same(box: np.ndarray, other: np.ndarray) -> bool:
    return bool(overlap(box[None], other[None])[0] > SAME)


def report(name: str, compared: Compared) -> str:
    soon = 100 * np.mean(np.array(compared.missing) < SOON)
    lines = [
        (
            f"{name}: {len(compared.carried)} faces carried, {soon:.2f} % of those that the "
            f"cascade is sure of found within {SOON} frames (longest wait {max(compared.missing)})"
        ),
        "",
        (
            f"| landmarks, % of face size | within {100 * NEAR:.0f} % | median | 95 % within "
            "| farthest |"
        ),
        "|---|---|---|---|---|",
    ]
    rows = {"carried": compared.carried, "cascade, a pixel shifted": compared.shifted}
    for what, distances in rows.items():
        values = 100 * np.array(distances)
        near = 100 * np.mean(values <= 100 * NEAR)
        cells = f"{np.median(values):.2f} | {np.quantile(values, 0.95):.2f} | {values.max():.1f}"
        lines.append(f"| {what} | {near:.1f} % | {cells} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    options = tyro.cli(Options, prog="python -m tests.realtime.carried")
    with Detector(options.min_face) as detector:
        for path in options.sources:
            with open_source(path) as source:
                frames = islice(source, options.frames)
                shown = tqdm(frames, total=source.frames, leave=False, disable=None)
                compared = compare(FaceFinder(detector, StageTimer()), shown)
            print(report(Path(path).name, compared), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
