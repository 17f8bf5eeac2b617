"""Made-up faces of three people, for the tests of TDGAN."""

import numpy as np

from realtime.align import FACE_SIZE, TEMPLATE
from train.data.prepared import LabelledFace, write_prepared

NAMES = ("ann", "ben", "cem")
NAN = float("nan")


def write_people(folder, each: int = 8):
    """A person is a bright column at a place of their own; every fourth face is for validation."""
    random = np.random.default_rng(1)

    def rows():
        for index in range(each * len(NAMES)):
            person = index % len(NAMES)
            face = random.integers(0, 60, (FACE_SIZE, FACE_SIZE, 1), dtype=np.uint8)
            face[:, 10 + 36 * person : 24 + 36 * person] += 180
            split = "validation" if index // len(NAMES) % 4 == 3 else "train"
            votes = tuple(int(name == NAMES[person]) for name in NAMES)
            row = LabelledFace(
                f"{NAMES[person]}/{index}", split, NAMES[person], votes, (NAN,) * 3, False, 0.0,
                TEMPLATE,
            )  # fmt: skip
            yield row, face

    count = each * len(NAMES)
    write_prepared(folder, "people", NAMES, "none", rows(), count, channels=1)
    return folder
