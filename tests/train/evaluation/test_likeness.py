"""How far made faces still show the person of the input; the features are known here."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import train.evaluation.judge as judge
from train.__main__ import main
from train.data.prepared import read_prepared
from train.errors import UserError
from train.evaluation.likeness import SAME, STRANGERS, Likeness, report, same_person
from train.recipes.described import Made
from train.recipes.ipd_fer import IpdFer
from train.recipes.ipd_fer_options import IpdFerOptions

pytestmark = pytest.mark.usefixtures("stand_in_identity")


def halves(pixels):
    """Two numbers of each face: how bright its left and its right half are."""
    left, right = pixels.mean(dim=1).split(pixels.shape[3] // 2, dim=2)
    return torch.stack([left.mean(dim=(1, 2)), right.mean(dim=(1, 2))], dim=1)


def faces(*brightness):
    """56-px faces, each with a brightness of its left and of its right half."""
    values = torch.tensor(brightness)[:, None, None, :, None].expand(-1, 1, 56, 2, 28)
    return values.reshape(len(brightness), 1, 56, 56)


def test_cosines_are_those_to_the_own_input():
    likeness, label = Likeness(halves), torch.zeros(2, dtype=torch.long)
    likeness.add(Made("input", faces((1.0, 0.0), (0.0, 1.0)), label))
    likeness.add(Made("alike", faces((0.5, 0.0), (0.0, 0.2)), label))
    likeness.add(Made("half", faces((1.0, 1.0), (1.0, 1.0)), label))
    found = likeness.scores()
    assert found == {
        STRANGERS: pytest.approx(0), "alike": pytest.approx(1), "half": pytest.approx(0.5**0.5),
    }  # fmt: skip
    assert "half 0.71" in report(found)


def test_two_pictures_of_a_person_are_compared_as_the_made_ones_are(people):
    data = read_prepared(people)
    likeness = Likeness(lambda pixels: pixels.flatten(1))
    likeness.add(Made("input", faces((1.0, 0.5), (0.5, 1.0)), torch.zeros(2, dtype=torch.long)))
    likeness.add_people(replace(data, faces=np.array(data.faces)), same_person(data))
    assert 0 < likeness.scores()[SAME] <= 1


def test_the_command_prints_and_keeps_the_cosines(
    tiny_run, tiny_data, data, people, tmp_path, monkeypatch, capsys
):
    config = json.loads((tiny_run / "config.json").read_text()) | {"recipe": "ipd_fer"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    options = IpdFerOptions(identity="stand-in", network="resnet10-half", decoder_width=4)
    monkeypatch.setattr(judge, "load_makers", lambda *_, **__: IpdFer(options, data.classes))
    monkeypatch.setattr(judge, "load_identity", lambda *_: halves)
    command = ["judge", "--run", str(tmp_path), "--judge", str(tiny_run), "--data", str(tiny_data)]
    command += ["--likeness", "another", "--people", str(people), "--count", "8"]
    assert main(command) == 0
    assert "likeness to the input (cosine): another input" in capsys.readouterr().out
    found = json.loads((tmp_path / "judged-validation.json").read_text())["likeness"]
    assert found["network"] == "another"
    assert list(found["cosines"]) == [STRANGERS, "f_id", "f_id + f_pose", "… + f_exp", SAME]


def test_a_single_input_is_compared_with_nobody():
    likeness = Likeness(halves)
    likeness.add(Made("input", faces((1.0, 0.0)), torch.zeros(1, dtype=torch.long)))
    likeness.add(Made("alike", faces((0.5, 0.0)), torch.zeros(1, dtype=torch.long)))
    assert likeness.scores() == {"alike": pytest.approx(1)}


def test_people_of_whom_there_is_one_picture_each_are_refused(people):
    data = read_prepared(people)
    alone = data.only(np.unique(data.label, return_index=True)[1])
    with pytest.raises(UserError, match="no two pictures of one person"):
        same_person(alone)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--people", "somewhere"], "without --likeness"),
        (["--likeness", "nowhere.pt"], "--likeness nowhere.pt: there is no such file"),
    ],
)
def test_what_cannot_be_compared_is_told_before_anything_is_judged(
    tiny_run, tiny_data, capsys, options, told
):
    command = ["judge", "--run", str(tiny_run), "--judge", str(tiny_run), "--data", str(tiny_data)]
    assert main([*command, *options]) == 1
    assert told in capsys.readouterr().err
