"""What the mutations begin with, and the mutations."""

from __future__ import annotations

import base64
import json
import tempfile
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tests.engine.face_models import face_model
from tests.realtime.support.media import scene, write_video

KINDS = ("picture", "video", "picture", "video", "model")
"""What case n is, by n modulo its length."""

_EDGES = (0, 1, 0x7F, 0x80, 0xFF)


@dataclass(frozen=True)
class Seeds:
    """Whole files of one kind, and the ending of a file that holds one."""

    files: tuple[bytes, ...]
    suffix: str = ""


@cache
def seeds() -> dict[str, Seeds]:
    """Small whole files of every kind."""
    return {
        "picture": Seeds(tuple(_pictures())),
        "video": Seeds(tuple(_videos()), ".mp4"),
        "model": Seeds((face_model().SerializeToString(),), ".onnx"),
    }


@cache
def live_line() -> str:
    """The data of a frame of the live tab, as JSON."""
    jpeg = cv2.imencode(".jpg", scene(0))[1].tobytes()
    picture = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
    return json.dumps({"key": "a", "number": 1, "mirror": True, "image": picture})


def mutated(case: int, seed: int) -> tuple[str, bytes]:
    """The kind of a case and its content."""
    kind = KINDS[case % len(KINDS)]
    random = np.random.default_rng([seed, case])
    files = seeds()[kind].files
    other = files[random.integers(len(files))]
    return kind, mutate(files[random.integers(len(files))], other, random)


def mutate(data: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """One to eight changes, of which half are near the start, where the headers are."""
    result = bytearray(data)
    for _ in range(random.integers(1, 9)):
        size = len(result)
        if size < 8:
            break
        near = min(size, 256) if random.random() < 0.5 else size
        place, length = int(random.integers(near)), int(random.integers(1, 64))
        match random.integers(8):
            case 0:  # a bit
                result[place] ^= 1 << random.integers(8)
            case 1:  # a byte
                result[place] = random.integers(256)
            case 2:  # a number as large, or as small, as can be
                width = int(random.choice([1, 2, 4, 8]))
                result[place : place + width] = bytes([random.choice(_EDGES)]) * width
            case 3:  # a large number that is no edge
                number = int(random.integers(1 << 16, 1 << 31))
                order = "big" if random.random() < 0.5 else "little"
                result[place : place + 4] = number.to_bytes(4, order)
            case 4:  # a part is missing
                del result[place : place + length]
            case 5:  # a part comes again
                result[place:place] = result[place : place + length] * int(random.integers(1, 20))
            case 6:  # a part of another file
                start = int(random.integers(max(1, len(other) - length)))
                result[place : place + length] = other[start : start + length]
            case 7:  # the end is missing
                if random.random() < 0.3:
                    del result[int(random.integers(size // 2, size)) :]
    return bytes(result)


def _pictures():
    image = Image.fromarray(scene(0)).resize((64, 48))
    for kind, mode, options in (
        *(("PNG", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        *(("TIFF", mode, {}) for mode in ("L", "RGB", "RGBA", "CMYK", "F")),
        *(("TIFF", "RGB", {"compression": f"tiff_{name}"}) for name in ("lzw", "deflate")),
        ("TIFF", "RGB", {"compression": "jpeg"}),
        ("JPEG", "RGB", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "CMYK", {}),
        ("WEBP", "RGB", {}),
        ("WEBP", "RGBA", {"lossless": True}),
        *(("BMP", mode, {}) for mode in ("L", "RGB")),
        ("PPM", "RGB", {}),
    ):
        data = BytesIO()
        (image.convert("L").convert(mode) if mode == "I;16" else image.convert(mode)).save(
            data, kind, **options
        )
        yield data.getvalue()
    data = BytesIO()
    image.save(data, "PNG", save_all=True, append_images=[image.rotate(90)] * 3)
    yield data.getvalue()


def _videos():
    images = [cv2.resize(scene(index), (64, 48)) for index in range(8)]
    with tempfile.TemporaryDirectory() as folder:
        for name, codec, movflags in (
            ("a.mp4", "libx264", None),
            ("fast.mp4", "libx264", "faststart"),
            ("parts.mp4", "libx264", "frag_keyframe+empty_moov+default_base_moof"),
            ("a.mkv", "libx264", None),
            ("a.webm", "libvpx-vp9", None),
            ("b.webm", "libvpx", None),
            ("a.ts", "libx264", None),
            ("a.avi", "libx264", None),
            ("a.flv", "libx264", None),
            ("ffv1.mkv", "ffv1", None),
        ):
            path = Path(folder) / name
            yield write_video(path, images, codec=codec, movflags=movflags).read_bytes()
    data = BytesIO()
    first, *others = (Image.fromarray(image) for image in images)
    first.save(data, "GIF", save_all=True, append_images=others)
    yield data.getvalue()
