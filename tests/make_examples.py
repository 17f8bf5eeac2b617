"""Makes the example pictures of the web page.

    python tests/make_examples.py [folder]

Both come from scikit-image's astronaut, a NASA photograph in the public domain: the photo itself,
and her portrait beside itself, mirrored, cooler and tilted, for two faces in one picture.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from skimage.data import astronaut

FOLDER = Path(__file__).resolve().parents[1] / "realtime/web/examples"
PORTRAIT = (60, 10, 400, 350)  # x1, y1, x2, y2 in the photo


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "one.jpg", astronaut())
    write(folder / "two.jpg", two_faces())


def two_faces() -> np.ndarray:
    """Two portraits side by side; uint8 340×680×3, RGB."""
    x1, y1, x2, y2 = PORTRAIT
    one = astronaut()[y1:y2, x1:x2]
    other = (one[:, ::-1] * np.array([0.8, 0.88, 1.0])).astype(np.uint8)
    turn = cv2.getRotationMatrix2D((other.shape[1] / 2, 120), 14, 1.1)
    other = cv2.warpAffine(other, turn, other.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    return np.hstack([one, other])


def write(path: Path, image: np.ndarray) -> None:
    cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
