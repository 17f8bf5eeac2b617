"""Makes the demo clip: a known face that moves, turns, comes closer, leaves and comes back.

    python tests/make_demo_clip.py [folder]

The picture is scikit-image's astronaut, a NASA photograph in the public domain. Written are,
into the folder or, where none is given, where they belong, astronaut.mp4 (H.264, 640×480, 25
frames/s) and astronaut.json, the truth of every frame:

time: seconds. roll: degrees by which the photo is turned clockwise. scale: pixels of the clip
for one of the photo. center, left_eye, right_eye: x, y in pixels; left is the image's left.
box: x1, y1, x2, y2 around the face, upright at any roll. in_view: the whole box lies inside the
frame. visible: the share of the box inside the frame.
"""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from skimage.data import astronaut

ROOT = Path(__file__).resolve().parents[1]
PLACES = ROOT / "realtime/clips", ROOT / "tests/data"

WIDTH, HEIGHT, FPS = 640, 480, 25
INSET = 6

# In the photo, measured by eye on a fourfold enlargement.
EYES = np.array([[204.2, 101.2], [247.0, 102.8]])
BOX = np.array([179.0, 58.0, 269.0, 175.0])
CENTER = (BOX[:2] + BOX[2:]) / 2

# Seconds; where the centre of the face lies; its height in pixels; its roll in degrees.
PATH = np.array(
    [
        [0.0, 320, 235, 124, 0],
        [0.8, 320, 235, 124, 0],
        [1.5, 255, 205, 124, 0],
        [2.2, 380, 215, 110, 0],
        [3.0, 350, 225, 116, 25],
        [4.2, 310, 225, 116, -25],
        [4.8, 320, 235, 120, 0],
        [6.0, 325, 240, 218, 8],
        [6.4, 325, 240, 218, 0],
        [7.2, 230, 215, 110, -6],
        [7.8, -120, 210, 110, -10],
        [8.6, -120, 230, 92, 10],
        [9.2, 240, 230, 92, 6],
        [9.6, 300, 235, 100, 0],
        [10.0, 300, 235, 100, 0],
    ]
)


def main(for_clip: Path, for_truth: Path) -> None:
    for_clip.mkdir(parents=True, exist_ok=True)
    scenery, offset = extended(astronaut())
    records = []
    with av.open(str(for_clip / "astronaut.mp4"), "w", options={"movflags": "faststart"}) as clip:
        stream = open_stream(clip)
        for index in range(round(PATH[-1, 0] * FPS)):
            transform, record = situation(index / FPS)
            picture = av.VideoFrame.from_ndarray(view(scenery, transform, offset), "rgb24")
            picture.pts, picture.time_base = index, Fraction(1, FPS)
            clip.mux(stream.encode(picture.reformat(format="yuv420p", dst_colorspace="ITU709")))
            records.append({"frame": index, **record})
        clip.mux(stream.encode())
    write_truth(for_truth / "astronaut.json", records)


def open_stream(clip: av.container.OutputContainer) -> av.VideoStream:
    # One thread: with more, the bytes could depend on the machine.
    options = {"preset": "slower", "crf": "27", "threads": "1"}
    stream = clip.add_stream("libx264", rate=FPS, options=options)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context = stream.codec_context
    context.gop_size = 2 * FPS
    context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
    return stream


def extended(photo: np.ndarray, margin: int = 900) -> tuple[np.ndarray, np.ndarray]:
    """The photo with its borders carried on and softly blurred, and where the photo lies in it."""
    inner = photo[INSET:-INSET, INSET:-INSET]  # its outermost pixels are darker
    wide = cv2.copyMakeBorder(inner, *[margin] * 4, cv2.BORDER_REPLICATE)
    eighth = cv2.resize(wide, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(eighth, (0, 0), 5, borderType=cv2.BORDER_REPLICATE)
    soft = cv2.resize(soft, wide.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    weight = np.zeros(wide.shape[:2], np.float32)
    weight[margin:-margin, margin:-margin] = 1
    weight = cv2.GaussianBlur(weight, (0, 0), 10)[..., None]
    mixed = wide * weight + soft * (1 - weight)
    return np.rint(mixed).astype(np.uint8), np.array([margin, margin], float) - INSET


def situation(time: float) -> tuple[np.ndarray, dict]:
    """The 2×3 transform from photo to clip at `time`, and the truth that follows from it."""
    x, y, height, roll = (eased(time, column) for column in range(1, 5))
    scale = height / (BOX[3] - BOX[1])
    turn = np.radians(roll)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    center = np.array([x, y])
    transform = np.column_stack([linear, center - linear @ CENTER])
    left_eye, right_eye = EYES @ linear.T + transform[:, 2]
    box = np.concatenate([(BOX[:2] - CENTER) * scale + center, (BOX[2:] - CENTER) * scale + center])
    inside = np.clip(box, 0, [WIDTH - 1, HEIGHT - 1] * 2)
    visible = np.prod(inside[2:] - inside[:2]) / np.prod(box[2:] - box[:2])
    return transform, {
        "time": round(time, 3),
        "in_view": bool(np.array_equal(inside, box)),
        "visible": round(float(visible), 3),
        "roll": round(roll, 2),
        "scale": round(scale, 4),
        "center": rounded(center),
        "box": rounded(box),
        "left_eye": rounded(left_eye),
        "right_eye": rounded(right_eye),
    }


def eased(time: float, column: int) -> float:
    """The path at `time`, starting and stopping softly at each of its points."""
    after = int(np.clip(np.searchsorted(PATH[:, 0], time, side="right"), 1, len(PATH) - 1))
    (start, before), (end, behind) = PATH[after - 1, [0, column]], PATH[after, [0, column]]
    part = (1 - np.cos(np.pi * (time - start) / (end - start))) / 2
    return float(before + part * (behind - before))


def view(scenery: np.ndarray, transform: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """What the camera sees, drawn at twice the size so that a reduced photo does not alias."""
    double = 2 * transform
    double[:, 2] += 0.5 - double[:, :2] @ offset  # pixel centres: 2 * (p + 0.5) - 0.5
    big = cv2.warpAffine(
        scenery, double, (2 * WIDTH, 2 * HEIGHT), flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return cv2.resize(big, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 2) for value in values]


def write_truth(path: Path, records: list[dict]) -> None:
    head = {"source": "scikit-image's astronaut: NASA, public domain", "fps": FPS}
    head |= {"width": WIDTH, "height": HEIGHT}
    lines = ",\n".join(json.dumps(record) for record in records)
    path.write_text(f'{json.dumps(head)[:-1]}, "frames": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main(*((Path(sys.argv[1]),) * 2 if len(sys.argv) > 1 else PLACES))
