"""Clips of a smile, made of two photographs of one person, and what the program shows of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from realtime.align import FACE_SIZE
from realtime.capture import Capture
from realtime.faces import Face
from realtime.measure.london import Camera, Person, Readings
from realtime.measure.vary import lit, noisy
from realtime.population import Population
from realtime.reference import Reference
from realtime.smooth import Smoother

FPS = 30
RISE, HOLD, FALL = 15, 45, 15
"""Frames in which a made smile grows, stays and goes."""


def heights(rest: int) -> np.ndarray:
    """How much of the smile each frame of a clip shows: rests, grows, holds, goes."""
    grows = np.arange(1, RISE + 1) / RISE
    goes = np.arange(1, FALL + 1)[::-1] / FALL
    return np.concatenate([np.zeros(rest), grows, np.ones(HOLD), goes])


class Morph:
    """Between a person's aligned neutral and smiling face: both are bent along the optical flow
    from one to the other, by as much as is needed, and blended."""

    def __init__(self, neutral: np.ndarray, smiling: np.ndarray):
        self._ends = neutral, smiling
        grey = [cv2.cvtColor(end, cv2.COLOR_RGB2GRAY) for end in self._ends]
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        # None, which OpenCV's types do not know, is for no flow to begin from.
        self._flows = tuple(
            flow.calc(one, other, None)  # type: ignore[call-overload]
            for one, other in (grey, grey[::-1])
        )
        rows, columns = np.mgrid[:FACE_SIZE, :FACE_SIZE].astype(np.float32)
        self._places = np.stack([columns, rows], axis=2)

    def __call__(self, height: float) -> np.ndarray:
        """The face at `height` of the smile, 0 to 1; uint8 (112, 112, 3)."""
        if height in (0, 1):
            return self._ends[int(height)]
        neutral = self._bent(0, self._flows[1], height)
        smiling = self._bent(1, self._flows[0], 1 - height)
        return cv2.addWeighted(neutral, 1 - height, smiling, height, 0)

    def _bent(self, end: int, flow: np.ndarray, share: float) -> np.ndarray:
        places = self._places + np.float32(share) * flow
        return cv2.remap(  # type: ignore[call-overload]
            self._ends[end], places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )


def filmed(crops: Iterator[np.ndarray], random: np.random.Generator) -> Iterator[np.ndarray]:
    """Aligned faces as a camera films them: landmarks that shake and drift (0.4 pixels, 0.5°),
    light that wavers by 3 %, and noise."""
    state = np.zeros(4)
    centre = ((FACE_SIZE - 1) / 2,) * 2
    for crop in crops:
        # Half of the shaking is kept from frame to frame, as a detector's is.
        state = 0.8 * state + 0.6 * random.normal(0, 1, 4)
        matrix = np.array(cv2.getRotationMatrix2D(centre, 0.5 * state[0], 1), dtype=np.float64)
        matrix[:, 2] += 0.4 * state[1:3]
        size = (FACE_SIZE, FACE_SIZE)
        moved = cv2.warpAffine(crop, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        yield noisy(lit(moved, 1 + 0.03 * state[3]), random, 1, 4)


def clip_table(
    population: Population, persons: list[Person], camera: Camera, rest_frames: int
) -> None:
    """Made clips: capture in the first two seconds, `rest_frames` more at rest, then a smile."""
    shown = heights(3 * FPS + rest_frames)
    start = 3 * FPS + rest_frames
    rows: dict[str, list] = {"each frame by itself": [], "smoothed": []}
    for person in persons:
        morph = Morph(camera.aligned(person.neutral), camera.aligned(person.smiling))
        crops = list(filmed((morph(height) for height in shown), camera.random))
        readings = camera.read(crops)
        labels = labels_of(population, readings)
        for name, found in labels.items():
            rows[name].append(_clip_facts(found, start))
    print(
        f"\n| made clips | label changes in 100 of {rest_frames} frames at rest "
        "| people without any | smile shown at all | median time "
        "after a tenth of its height | shown within 150 ms | neutral again 0.5 s after it |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, facts in rows.items():
        changes, delays, back = (
            np.array(column, dtype=float) for column in zip(*facts, strict=True)
        )
        seen, soon = np.isfinite(delays), delays <= 0.151
        print(
            f"| {name} | {100 * changes.mean() / rest_frames:.2f} | {(changes == 0).mean():.0%} "
            f"| {seen.mean():.0%} | {1000 * np.median(delays[seen]):.0f} ms | {soon.mean():.0%} | "
            f"{back.mean():.0%} |"
        )


def labels_of(population: Population, readings: Readings) -> dict[str, list[str]]:
    """What a clip shows with a reference captured from its start."""
    landmarks = np.array([[40, 50], [70, 50], [56, 70], [42, 90], [70, 90]], dtype=np.float32)
    blank = Face(np.array([0, 0, 112, 112], np.float32), 1.0, landmarks, track_id=0)
    capture, smoother = Capture(population), Smoother()
    reference: Reference | None = None
    labels: dict[str, list[str]] = {"each frame by itself": [], "smoothed": []}
    for index, (expression, pose) in enumerate(
        zip(readings.probabilities, readings.poses, strict=True)
    ):
        face = replace(blank, expression=expression, pose=pose)
        if reference is None:
            reference = capture.update([face], index / FPS).reference
        else:
            face = replace(face, expression=reference.read(expression, pose), raw=expression)
        labels["each frame by itself"].append(face.label)
        labels["smoothed"].append(smoother.update([face], index / FPS)[0].label)
    return labels


def _clip_facts(labels: list[str], start: int) -> tuple[int, float, bool]:
    """Label changes at rest, seconds from a tenth of the smile to its being shown (inf where it
    never is), and whether the end is neutral. start: the first frame of the smile."""
    rest = labels[3 * FPS : start]
    changes = sum(a != b for a, b in itertools.pairwise(rest))
    smile = labels[start:]
    tenth = 0.1 * RISE - 1
    first = smile.index("happiness") if "happiness" in smile else np.inf
    return changes, max(first - tenth, 0) / FPS, labels[-1] == "neutral"
