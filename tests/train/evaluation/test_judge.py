"""How often made faces show what they should; the made faces are known here."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import train.evaluation.judge as judge
from train.__main__ import main
from train.data.prepared import read_prepared
from train.evaluation.judge import Made, Verdict, report, taken
from train.recipes.ipd_fer import IpdFer
from train.recipes.ipd_fer_options import IpdFerOptions
from train.recipes.joint_pose_expression import JointPoseExpression, JointPoseExpressionOptions
from train.recipes.tdgan import Tdgan, TdganOptions

IPD = IpdFerOptions(identity="stand-in", network="resnet10-half", decoder_width=4)

pytestmark = pytest.mark.usefixtures("stand_in_identity")


def looks(faces):
    """A network that calls bright faces the second class and whose yaw is the brightness."""
    assert faces.dtype == torch.uint8 and faces.shape[1:3] == (112, 112)
    brightness = faces.float().mean(dim=(1, 2, 3))
    logits = torch.stack([127 - brightness, brightness - 127], dim=1)
    return SimpleNamespace(expression=logits, pose=brightness[:, None].expand(-1, 3))


def faces_of(*brightness):
    """Faces of 56 px, each of one brightness from 0 to 255."""
    return torch.tensor(brightness).float()[:, None, None, None].expand(-1, 1, 56, 56) / 255


def test_expressions_and_angles_are_counted():
    verdict = Verdict(looks, ["dark", "bright"])
    verdict.add(Made("made", faces_of(10, 20), torch.tensor([0, 1]), torch.tensor([13.0, -30.0])))
    verdict.add(Made("made", faces_of(200), torch.tensor([1]), faces_of(190)))
    verdict.add(Made("input", faces_of(0, 255), torch.tensor([1, 1])))
    scores = verdict.scores()

    assert scores["made"] == {
        "faces": 3, "as_meant": pytest.approx(2 / 3), "by_class": {"dark": 1.0, "bright": 0.5},
        "yaw": pytest.approx((13 + 30 + 190) / 3), "yaw_error": pytest.approx((3 + 50 + 10) / 3),
        "spread": pytest.approx(np.std([10, 20, 200]) / 255),
    }  # fmt: skip
    assert scores["input"] == {
        "faces": 2, "as_meant": 0.5, "by_class": {"dark": None, "bright": 0.5},
        "yaw": None, "yaw_error": None, "spread": pytest.approx(0.5),
    }  # fmt: skip
    lines = report(scores).splitlines()
    assert lines[1].split() == ["made", "3", "66.7%", "77.7°", "21.0°", "0.342", "100.0%", "50.0%"]
    assert lines[2].split() == ["input", "2", "50.0%", "–", "–", "0.500", "–", "50.0%"]


def test_one_face_for_everybody_has_no_spread():
    verdict = Verdict(looks, ["dark", "bright"])
    for label in (0, 1):
        verdict.add(Made("made", faces_of(40, 40, 40), torch.full((3,), label)))
    assert verdict.scores()["made"]["spread"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("pose", [True, False])
def test_ipd_fers_columns_should_be_neutral_then_turned_then_the_input(data, pose):
    options = IpdFerOptions(**{**vars(IPD), "pose": pose})
    recipe = IpdFer(options, data.classes)
    faces, label = taken(data, data.rows("validation")[:5])
    made = {each.title: each for each in recipe.made(faces, label)}
    neutral, input_ = data.classes.index("neutral"), recipe.model.expression_input(faces)
    titles = ["input", "f_id", *(["f_id + f_pose"] if pose else []), "… + f_exp"]
    assert list(made) == titles
    for title in titles[1:-1]:
        assert set(made[title].expression.tolist()) == {neutral}
    torch.testing.assert_close(made["input"].pixels, input_)
    assert made["input"].yaw is None and not made["f_id"].yaw.any()
    for title in titles[2:]:
        assert torch.equal(made[title].yaw, input_)
    for title in ("input", "… + f_exp"):
        assert torch.equal(made[title].expression, label)
    assert set(label.tolist()) != {neutral}


@pytest.mark.parametrize("signed", [True, False])
def test_each_face_of_the_joint_model_should_show_its_code(data, monkeypatch, signed):
    options = JointPoseExpressionOptions(
        network="resnet10-half", generated=1, decoder_width=4, signed=signed
    )
    recipe = JointPoseExpression(options, data.classes)
    asked = []
    monkeypatch.setattr(recipe, "synthesise", lambda faces, codes: (
        asked.append(codes), np.zeros((1, len(codes), 1, 56, 56), np.float32))[1])  # fmt: skip
    first, second, third = recipe.made(*taken(data, data.rows("validation")[:2]))

    assert first.title == "input" and len(first.pixels) == 2
    expression, pose = asked[0].split([len(data.classes), recipe.codes.poses], dim=1)
    assert torch.equal(second.expression, expression.argmax(dim=1)) and len(asked) == 2
    if signed:
        assert torch.equal(recipe.codes.pose_class(third.yaw), pose.argmax(dim=1))
        assert set(third.yaw.abs().tolist()) == {0, 15, 25, 35, 45}
    else:
        assert third.yaw is None


def test_tdgan_puts_each_expression_on_the_next_face(data, people):
    torch.manual_seed(0)
    options = TdganOptions(network="resnet10-half", decoder_width=4, faces=people)
    recipe = Tdgan(options, data.classes)
    recipe.networks.eval()
    look, persons = recipe.model.expression_input, read_prepared(people)
    known = look(torch.from_numpy(np.array(persons.faces[persons.rows("validation")])))
    seen = []
    for rows in np.array_split(data.rows("validation")[:9], 2):
        faces, label = taken(data, rows)
        first, second = recipe.made(faces, label, sum(map(len, seen)))
        assert torch.equal(second.expression, label)
        torch.testing.assert_close(first.pixels, look(faces))
        one = recipe.plain("G").transfer(second.yaw[:1], first.pixels[:1])[0, 0]
        torch.testing.assert_close(second.pixels[0], one)
        seen.append(second.yaw)
    assert torch.equal(torch.cat(seen), known[torch.arange(9) % len(known)])


def test_the_command_prints_and_keeps_the_counts(
    tiny_run, tiny_data, data, tmp_path, monkeypatch, capsys
):
    config = json.loads((tiny_run / "config.json").read_text()) | {"recipe": "ipd_fer"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(judge, "load_makers", lambda *_, **__: IpdFer(IPD, data.classes))
    command = ["judge", "--run", str(tmp_path), "--judge", str(tiny_run), "--data", str(tiny_data)]
    assert main([*command, "--count", "12"]) == 0
    assert "f_id + f_pose      12" in capsys.readouterr().out
    made = json.loads((tmp_path / "judged-validation.json").read_text())["made"]
    assert made["input"]["as_meant"] > 0.9, "a trained network knows the real faces"


def test_what_cannot_be_judged_is_one_clear_line(tiny_run, tiny_data, tmp_path, capsys):
    known = ["--judge", str(tiny_run), "--data", str(tiny_data)]
    assert main(["judge", "--run", str(tiny_run), *known]) == 1
    assert capsys.readouterr().err.endswith("is a run of baseline, which makes no such faces.\n")

    config = json.loads((tiny_run / "config.json").read_text()) | {"classes": ["a", "b"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert main(["judge", "--run", str(tmp_path), *known]) == 1
    error = capsys.readouterr().err
    assert "differ in classes" in error and error.count("\n") == 1
