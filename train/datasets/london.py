"""The Face Research Lab London Set (DeBruine & Jones 2017, figshare 5047666, CC BY 4.0): people,
each with a neutral and a mildly smiling face.

Layout: ``people.csv`` (face_id, face_gender, face_eth) and for each person ``ID_neutral.jpg`` and
``ID_smiling.jpg``. For choosing and judging: nothing is trained on it, so all is validation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from realtime.faces import EXPRESSIONS
from train.data.pictures import Picture
from train.datasets.prepare import Prepare
from train.errors import UserError
from train.files import read_csv, write_text

LABELS = {"neutral": "neutral", "smiling": "happiness"}
PEOPLE = "people.csv"
COLUMNS = ("face_id", "face_gender", "face_eth")


def list_london(source: Path) -> list[Picture]:
    """Both pictures of everybody, their ids ``001_neutral`` and the like; UserError names what is
    missing."""
    pictures = []
    for row in read_csv(source / PEOPLE, COLUMNS, "unpack the London set there"):
        for look, label in LABELS.items():
            path = source / f"{row['face_id']}_{look}.jpg"
            if not path.is_file():
                raise UserError(f"{source} has no {path.name}, of which {PEOPLE} tells.")
            pictures.append(Picture(f"{row['face_id']}_{look}", "validation", label, path))
    return pictures


@dataclass(frozen=True)
class PrepareLondon(Prepare):
    """The London set: people whom nobody trains on, neutral and mildly smiling."""

    output: Path = Path("data/london")
    """Folder to write the prepared faces to, with people.csv beside them."""

    def run(self) -> None:
        self.write("Face Research Lab London Set", EXPRESSIONS, list_london(self.source))
        write_text(self.output / PEOPLE, (self.source / PEOPLE).read_text(encoding="utf-8"))
