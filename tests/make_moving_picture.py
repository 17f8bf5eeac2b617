"""Makes the moving picture at the head of README.md: the clip that ships, with the overlay at work.

Run as ``python -m tests.make_moving_picture [file.webp]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
from PIL import Image

from realtime.clips import CLIP
from realtime.output.overlay import draw
from realtime.pipeline import open_pipeline
from realtime.sources.open import open_source

PICTURE = Path(__file__).resolve().parents[1] / "docs/overlay.webp"
SIZE = (480, 360)
SECONDS = 0.5, 7.5
"""What is shown of the clip: the face moves, turns, tilts, comes close and goes."""
EVERY = 2
"""Of the clip's 25 frames a second."""
QUALITY = 72
MOST_BYTES = 2 << 20


def main(path: Path) -> None:
    pictures, times = [], []
    with open_pipeline() as pipeline, open_source(CLIP) as source:
        for frame in source:
            faces = pipeline.process(frame)
            if frame.index % EVERY == 0 and SECONDS[0] <= frame.time <= SECONDS[1]:
                drawn = cv2.resize(draw(frame.image, faces), SIZE, interpolation=cv2.INTER_AREA)
                pictures.append(Image.fromarray(drawn))
                times.append(frame.time)
    milliseconds = round(1000 * (times[-1] - times[0]) / (len(times) - 1))
    pictures[0].save(
        path,
        save_all=True,
        append_images=pictures[1:],
        duration=milliseconds,
        loop=0,
        quality=QUALITY,
        method=4,
    )
    size = path.stat().st_size
    print(f"{path}: {len(pictures)} frames, {size / 1e6:.2f} MB")
    if size > MOST_BYTES:
        raise SystemExit("More than 2 MB: use fewer frames or a lower quality.")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
