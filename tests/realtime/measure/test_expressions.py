"""What a reference does to other expressions, on prepared faces."""

import numpy as np
import pytest

from engine.contract import EngineError
from realtime.faces import EXPRESSIONS, HeadPose
from realtime.measure.expressions import expression_table
from tests.realtime.support.resting import POPULATION


class Bars:
    """Stands for a recogniser: sees the expression whose number is the face's brightness, as
    strongly as the red channel of its corner says."""

    def recognise(self, faces, rotations):
        for face in faces:
            logits = np.zeros(8)
            logits[0] = 2.0
            logits[face[50, 50, 0]] += face[0, 0, 0] / 50
            powers = np.exp(logits)
            yield (powers / powers.sum()).astype(np.float32), HeadPose(0.0, 0.0, 0.0)


def prepared(folder, faces):
    """faces: split, expression, strength."""
    images = np.zeros((len(faces), 112, 112, 1), np.uint8)
    lines = ["split,label"]
    for image, (split, name, strength) in zip(images, faces, strict=True):
        image[:] = EXPRESSIONS.index(name) if name in EXPRESSIONS else 0
        image[0, 0] = strength
        lines.append(f"{split},{name}")
    np.save(folder / "faces.npy", images)
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def test_recall_is_told_without_with_nobodys_and_with_the_average_rest(tmp_path, capsys):
    faces = [("test", "anger", 90), ("test", "anger", 250), ("test", "fear", 250)]
    prepared(tmp_path, [*faces, ("test", "", 0), ("train", "anger", 0)])
    expression_table(POPULATION, Bars(), tmp_path)
    rows = {}
    for line in capsys.readouterr().out.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) > 3:
            rows[cells[0]] = cells[1:]
    anger = rows["prepared faces"].index("anger (2)")
    assert rows["the network alone"][:2] == ["66.7%", "0.0%"]
    assert rows["nobody's reference"] == rows["the network alone"]
    assert rows["the network alone"][anger] == "50%" and rows["the average rest"][anger] == "100%"


def test_a_folder_that_is_not_prepared_is_one_clear_line(tmp_path):
    with pytest.raises(EngineError, match="holds neither prepared data"):
        expression_table(POPULATION, Bars(), tmp_path)
