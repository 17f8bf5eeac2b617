import csv

import numpy as np
import pytest

from tests.train.made_up import save_picture
from train.__main__ import main
from train.data.prepared import read_prepared
from train.evaluation.strangers import Strangers, people_of
from train.runs.decision import Decision


def strangers(odds, smiling, groups=None):
    """Three classes: neutral, happiness at these log-odds, and hardly anything else."""
    odds = np.asarray(odds, dtype=float)
    happy = 1 / (1 + np.exp(-odds))
    probabilities = np.stack([1 - happy, happy, np.full(len(odds), 1e-9)], axis=1)
    return Strangers(probabilities, 0, 1, np.asarray(smiling), groups or {})


def test_shares_are_of_resting_faces_and_of_smiles():
    smiling = np.array([False, False, False, False, True, True])
    women = np.array([True, True, False, False, True, False])
    seen = strangers([-3, -2, -1, 1, 2, -1.5], smiling, {"women": women, "men": ~women})
    scores = seen.scores()
    assert (scores["kept"], scores["found"]) == (0.75, 0.5)
    assert scores["groups"]["women"] == {"kept": 1.0, "found": 1.0}
    assert scores["groups"]["men"] == {"kept": 0.5, "found": 0.0}
    # Of the eight pairs of a smile and a resting face the odds are the right way in six.
    assert scores["auc"] == pytest.approx(6 / 8)


def test_the_limit_lets_two_of_a_hundred_resting_faces_through():
    resting, smiles = np.linspace(-4, 0, 101), np.array([-5, -0.2, -0.01, 1])
    smiling = np.array([False] * 101 + [True] * 4)
    scores = strangers(np.concatenate([resting, smiles]), smiling).scores()
    assert scores["at_2_percent"] == 0.5, "the limit is at -0.08"


def test_an_offset_of_happiness_finds_fainter_smiles():
    seen = strangers([-3, -0.4, 2], [False, True, True])
    raised = seen.decided(Decision(1.0, 0.0, (), (0.0, 0.5, 0.0)))
    assert (seen.found(), raised.found()) == (0.5, 1.0) and raised.kept() == 1.0


@pytest.fixture
def london(tmp_path):
    """Two people in the layout of the London set."""
    folder = tmp_path / "london"
    folder.mkdir()
    with (folder / "people.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerows([["face_id", "face_age", "face_gender", "face_eth"]])
        rows.writerows([["001", 24, "female", "white"], ["003", 30, "male", "black"]])
    for index, name in enumerate(("001_neutral", "001_smiling", "003_neutral", "003_smiling")):
        save_picture(folder / f"{name}.jpg", index)
    return folder


def test_the_set_is_prepared_with_its_people_and_runs_are_looked_at(
    london, tiny_run, tmp_path, capsys
):
    output = tmp_path / "prepared"
    where = ["--source", str(london), "--output", str(output), "--no-find-faces"]
    assert main(["prepare", "london", *where]) == 0
    data = read_prepared(output)
    assert list(data.ids) == ["001_neutral", "001_smiling", "003_neutral", "003_smiling"]
    assert [data.classes[label] for label in data.label] == ["neutral", "happiness"] * 2
    assert set(data.split) == {"validation"}, "nobody may train on it"
    genders = [row["face_gender"] for row in people_of(data, output)]
    assert genders == ["female", "female", "male", "male"]

    capsys.readouterr()
    look = ["strangers", "--run", str(tiny_run), "--data", str(output), "--varied", "2"]
    assert main(look) == 0
    first = capsys.readouterr().out
    assert "neutral kept" in first and str(tiny_run) in first
    assert main(look) == 0
    assert capsys.readouterr().out == first, "the same pictures each time"
    (tiny_run / "strangers-data.json").unlink()


def test_what_is_missing_is_named(london, tmp_path, capsys):
    (london / "003_smiling.jpg").unlink()
    where = ["--source", str(london), "--output", str(tmp_path / "out")]
    assert main(["prepare", "london", *where]) == 1
    assert "has no 003_smiling.jpg, of which people.csv tells" in capsys.readouterr().err
