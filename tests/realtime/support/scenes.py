"""Made-up scenes with known truth: faces that cross, hide each other and are hidden.

Two looks of the public-domain astronaut, one mirrored, darker and cooler, move over a plain ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from skimage.data import astronaut

WIDTH, HEIGHT, FPS = 640, 480, 25.0
FACE = (168, 60, 280, 200)  # x1, y1, x2, y2 of her head in the photograph, 512×512


@dataclass(frozen=True)
class Truth:
    """Where a face is in a frame and whether nothing hides it. centre: x, y in pixels."""

    who: int
    centre: np.ndarray
    size: float
    visible: bool


def _head(mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    """Her head (RGB) and a soft oval mask, 0 to 1."""
    x1, y1, x2, y2 = FACE
    head = astronaut()[y1:y2, x1:x2]
    if mirrored:
        head = (head[:, ::-1] * np.array([0.72, 0.8, 0.95])).astype(np.uint8)
    mask = np.zeros(head.shape[:2], np.float32)
    centre = (head.shape[1] // 2, head.shape[0] // 2)
    cv2.ellipse(mask, centre, (centre[0] - 4, centre[1] - 4), 0, 0, 360, 1.0, -1)
    return np.ascontiguousarray(head), cv2.GaussianBlur(mask, (9, 9), 0)


def _paste(image: np.ndarray, head, centre, scale: float) -> None:
    """Put a head on the image in place."""
    height, width = head[0].shape[:2]
    x, y = centre
    matrix = np.array([[scale, 0, x - scale * width / 2], [0, scale, y - scale * height / 2]])
    size = (image.shape[1], image.shape[0])
    picture = cv2.warpAffine(head[0], matrix, size, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(head[1], matrix, size)[..., None]
    image[:] = (image * (1 - mask) + picture * mask).astype(np.uint8)


def crossing(seed: int, frames: int = 75):
    """Yields (image, truths): two people walk past each other, the nearer one in front."""
    random = np.random.default_rng(seed)
    heads = [_head(False), _head(True)]
    near, far = random.uniform(1.0, 1.25), random.uniform(0.75, 0.95)
    heights = random.uniform(200, 280, 2)
    starts, ends = np.array([110.0, 530.0]), np.array([530.0, 110.0])
    sway = random.uniform(0, 2 * np.pi, 2)
    yield from _play(
        random,
        frames,
        heads,
        scales=[far, near],
        path=lambda who, t: (
            starts[who] + (ends[who] - starts[who]) * t,
            heights[who] + 6 * np.sin(4 * t + sway[who]),
        ),
    )


def occluded(seed: int, frames: int = 100):
    """Yields (image, truths): one person stands, a board passes before the face for two seconds."""
    random = np.random.default_rng(1000 + seed)
    place = random.uniform([250, 200], [390, 280])
    drift = random.uniform(-12, 12, 2)
    yield from _play(
        random,
        frames,
        [_head(False)],
        scales=[random.uniform(0.9, 1.2)],
        path=lambda who, t: tuple(place + drift * t),
        board=(0.3, 0.3 + 50 / frames),
    )


def _play(random, frames, heads, scales, path, board=None):
    ground = cv2.GaussianBlur(
        random.integers(90, 170, (HEIGHT, WIDTH, 3), dtype=np.uint8), (0, 0), 9
    )
    for index in range(frames):
        t = index / (frames - 1)
        image = ground.copy()
        centres = [np.array(path(who, t)) for who in range(len(heads))]
        sizes = [heads[who][0].shape[0] * scales[who] for who in range(len(heads))]
        for who in np.argsort(scales):  # the nearest last, in front
            _paste(image, heads[who], centres[who], scales[who])
        hidden = board is not None and board[0] <= t < board[1]
        if hidden:
            x, y = centres[0].astype(int)
            cv2.rectangle(image, (x - 110, y - 120), (x + 110, y + 130), (120, 96, 70), -1)
        noise = random.normal(0, 2, image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
        apart = len(heads) < 2 or np.linalg.norm(centres[0] - centres[1]) > 0.75 * max(sizes)
        # The far one is hidden while they pass; the near one never is.
        yield (
            image,
            [
                Truth(
                    who, centres[who], sizes[who], not hidden and (apart or who == len(heads) - 1)
                )
                for who in range(len(heads))
            ],
        )
