"""The tables of what a resting face gains, from six people of the London set."""

import csv
import shutil

import pytest

from realtime.measure.neutral import neutral_command
from tests.realtime.support.london import LONDON, needs_london


@pytest.fixture
def few(tmp_path):
    """A folder as the London set's, with three women and three men."""
    with open(LONDON / "people.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = [row for g in ("female", "male") for row in rows if row["face_gender"] == g]
    chosen = chosen[:3] + chosen[-3:]
    with open(tmp_path / "people.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(chosen)
    for row in chosen:
        for look in ("neutral", "smiling"):
            name = f"{row['face_id']}_{look}.jpg"
            shutil.copy(LONDON / name, tmp_path / name)
    return tmp_path


@pytest.mark.slow
@needs_london
def test_the_own_reference_finds_smiles_and_another_persons_does_not_serve(few, capsys):
    command = ["--london", str(few), "--variants", "16", "--halves", "1", "--rest-frames", "9"]
    assert neutral_command(command) == 0
    printed = capsys.readouterr().out
    rows = {}
    for line in printed.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) > 2 and "%" in cells[1]:
            rows[cells[0]] = [float(cell.rstrip("%")) for cell in cells[1:3]]
    own, other = rows["own reference"], rows["another person's reference"]
    assert own[0] < 15 and own[1] > 85 and other[0] > own[0] + 30
    assert rows["nobody's reference"] == rows["the network alone"]
    for words in ("the head turned by 15°", "made clips", "| reading |", "women (3)"):
        assert words in printed


def test_what_is_not_the_london_set_is_one_clear_line(tmp_path, capsys):
    assert neutral_command(["--london", str(tmp_path)]) == 1
    assert "does not hold the London set" in capsys.readouterr().err
