"""Whatever is wrong with an option or a file: one line that says so, and a code that is not 0."""

import csv
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.train.made_up import save_picture
from tests.train.training import read_rows
from train.__main__ import main

SMALL = ["--network", "resnet10-half", "--epochs", "1", "--device", "cpu"]


def refused(capsys, arguments: list, *words: str) -> None:
    """The command ends with a code and a line with these words in it."""
    assert main([str(each) for each in arguments]) == 1
    message = capsys.readouterr().err.strip()
    assert message and "\n" not in message
    for word in words:
        assert word in message, message


OPTIONS = [
    (["--network", "vgg"], "vgg", "resnet18-half"),
    (["--pose-network", "vgg"], "vgg", "resnet10-half"),
    (["--precision", "half"], "--precision half", "bf16-mixed"),
    (["--device", "tpu"], "tpu", "cuda"),
    (["--epochs", "-1"], "--epochs -1", "1 or more"),
    (["--batch-size", "0"], "--batch-size 0", "1 or more"),
    (["--seed", "-1"], "--seed -1", "0"),
    (["--seed", "99999999"], "--seed", "40000"),
    (["--rate", "nan"], "--rate nan", "above 0"),
    (["--rate", "0"], "--rate 0", "above 0"),
    (["--rate", "inf"], "--rate inf", "above 0"),
    (["--decay", "-1"], "--decay -1", "0 or more"),
    (["--clip", "nan"], "--clip nan", "above 0"),
    (["--dropout", "1.5"], "--dropout 1.5", "from 0"),
    (["--mixup", "nan"], "--mixup nan", "0 or more"),
    (["--balance", "2"], "--balance 2", "from 0 to 1"),
    (["--mean-class", "-0.1"], "--mean-class -0.1", "from 0 to 1"),
    (["--average", "nan"], "--average nan", "from 0 to 1"),
    (["--devices", "0"], "--devices 0", "1 or more"),
    (["--nodes", "0"], "--nodes 0", "1 or more"),
    (["--minutes", "nan"], "--minutes nan", "0 or more"),
    (["--rotation", "nan"], "--rotation nan", "0 or more"),
    (["--zoom", "1"], "--zoom 1", "from 0 to 0.9"),
    (["--erase", "7"], "--erase 7", "from 0 to 1"),
    (["--initial", "nowhere"], "nowhere", "config.json"),
    (["--resume"], "config.json"),
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda case: " ".join(case[0]))
def test_an_option_that_cannot_be_is_refused(options, tiny_data, tmp_path, capsys):
    extra, *words = options
    command = ["fit", "baseline", "--data", tiny_data, "--run", tmp_path / "run"]
    refused(capsys, [*command, *SMALL, *extra], *words)
    assert not (tmp_path / "run" / "config.json").exists(), "nothing was begun"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["fit", "ipd_fer", "--identity", "FILE", "--lambda1", "nan"], "--lambda1 nan"),
        (["fit", "fdrl", "--delta", "2"], "--delta 2"),
        (["fit", "tdgan", "--no-gan", "--judge-every", "0"], "--judge-every 0"),
        (["fit", "joint_pose_expression", "--momentum", "1"], "--momentum 1"),
        (["fit", "distill", "--teacher"], "--teacher"),
    ],
)
def test_options_of_other_recipes_are_looked_at(arguments, word, tiny_data, tmp_path, capsys):
    command = [*arguments, "--data", tiny_data, "--run", tmp_path / "run", "--device", "cpu"]
    refused(capsys, command, word)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["calibrate", "--run", "RUN", "--max-loss", "nan"], "--max-loss nan"),
        (["robustness", "--run", "RUN", "--seed", "-1"], "--seed -1"),
        (["judge", "--run", "RUN", "--judge", "RUN", "--count", "0"], "--count 0"),
        (["visualize", "tsne", "--runs", "RUN", "--faces", "0"], "--faces 0"),
        (["visualize", "tdgan-faces", "--run", "RUN", "--steps", "1"], "--steps 1"),
        (["reproduce", "ferplus", "--epochs", "0"], "--epochs 0"),
        (["reproduce", "ferplus", "--rate", "nan"], "--rate nan"),
        (["prepare", "people", "--source", "RUN", "--people", "-1"], "--people -1"),
        (["prepare", "folders", "--source", "RUN", "--seed", "-1"], "--seed -1"),
        (["reference", "--network", "vgg", "--pose-network", "vgg"], "vgg"),
    ],
)
def test_other_commands_look_at_theirs(arguments, word, tiny_run, capsys):
    refused(capsys, [tiny_run if each == "RUN" else each for each in arguments], word)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def latin(path: Path) -> None:
    path.write_bytes(b"\xe9\xff\xfe" + path.read_bytes())


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def text(content: str):
    def write(path: Path) -> None:
        path.write_text(content)

    return write


def cell(column: str, value: str):
    """One cell of the first row becomes something else."""

    def write(path: Path) -> None:
        rows = read_rows(path)
        rows[0][column] = value
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)

    return write


def without(column: str):
    def write(path: Path) -> None:
        rows = read_rows(path)
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, [key for key in rows[0] if key != column],
                                    extrasaction="ignore")  # fmt: skip
            writer.writeheader()
            writer.writerows(rows)

    return write


def array(content: np.ndarray):
    def write(path: Path) -> None:
        with open(path, "wb") as file:
            np.save(file, content)

    return write


def entry(key: str, value: object = None):
    """An entry of a JSON file is another, or goes."""

    def write(path: Path) -> None:
        found = json.loads(path.read_text())
        if value is None:
            del found[key]
        else:
            found[key] = value
        path.write_text(json.dumps(found))

    return write


def older(change):
    """The change in a run from before config.json had the entry model."""

    def write(path: Path) -> None:
        entry("model")(path)
        change(path)

    return write


PREPARED = [
    ("faces.npy", cut),
    ("faces.npy", empty),
    ("faces.npy", folder),
    ("faces.npy", text("no array")),
    ("faces.npy", array(np.zeros((128, 4), np.uint8))),
    ("faces.npy", array(np.zeros((128, 112, 112, 1), np.float32))),
    ("faces.npy", array(np.array([{"pickled": 1}]))),
    ("prepared.json", cut),
    ("prepared.json", empty),
    ("prepared.json", latin),
    ("prepared.json", text("[1, 2]")),
    ("prepared.json", text("[" * 100_000)),
    ("prepared.json", entry("classes")),
    ("prepared.json", entry("classes", 8)),
    ("labels.csv", empty),
    ("labels.csv", cut),
    ("labels.csv", latin),
    ("labels.csv", folder),
    ("labels.csv", cell("label", "bored")),
    ("labels.csv", cell("split", "holiday")),
    ("labels.csv", cell("yaw", "left")),
    ("labels.csv", cell("votes_neutral", "")),
    ("labels.csv", cell("id", "x" * 200_000)),
    ("labels.csv", without("split")),
    ("labels.csv", without("rotation")),
    ("labels.csv", without("votes_neutral")),
]


@pytest.mark.parametrize(("name", "broken"), PREPARED)
def test_prepared_data_that_are_broken_are_named(name, broken, tiny_copy, tmp_path, capsys):
    broken(tiny_copy / name)
    refused(capsys, ["fit", "baseline", "--data", tiny_copy, "--run", tmp_path / "r", *SMALL], name)


@pytest.fixture
def run_copy(tiny_run, tmp_path):
    return shutil.copytree(tiny_run, tmp_path / "copy")


MODEL = {"network": "resnet10-half", "pose_network": "resnet10-half", "classes": 8}
RUNS = [
    ("config.json", cut),
    ("config.json", empty),
    ("config.json", latin),
    ("config.json", folder),
    ("config.json", text("7")),
    ("config.json", entry("options")),
    ("config.json", older(entry("options", {}))),
    ("config.json", entry("classes")),
    ("config.json", entry("classes", "neutral")),
    ("config.json", entry("recipe")),
    ("config.json", older(entry("recipe", "astrology"))),
    ("config.json", entry("model", 7)),
    ("config.json", entry("model", {})),
    ("config.json", entry("model", MODEL | {"head": "oracle"})),
    ("config.json", entry("model", MODEL | {"head": "fdrl"})),
    ("config.json", entry("model", MODEL | {"classes": "eight"})),
    ("config.json", entry("model", MODEL | {"network": "resnet9000"})),
    ("config.json", entry("model", MODEL | {"colour": "blue"})),
    ("best.safetensors", cut),
    ("best.safetensors", empty),
    ("best.safetensors", folder),
    ("best.safetensors", text("no weights at all")),
    ("best.safetensors", Path.unlink),
]


@pytest.mark.parametrize(("name", "broken"), RUNS)
@pytest.mark.parametrize("command", [["evaluate"], ["export", "face", "--output", "never.onnx"]])
def test_a_run_that_is_broken_is_named(
    command, name, broken, run_copy, tiny_data, capsys, monkeypatch
):
    # Which takes long: all else is looked at first.
    monkeypatch.setattr("train.export.face._traced", None)
    broken(run_copy / name)
    data = ["--data", tiny_data] if command == ["evaluate"] else []
    refused(capsys, [*command, "--run", run_copy, *data], str(run_copy))


def test_weights_of_another_network_are_named(run_copy, tiny_data, capsys):
    config = json.loads((run_copy / "config.json").read_text())
    config["model"]["network"] = "resnet18-half"
    (run_copy / "config.json").write_text(json.dumps(config))
    refused(capsys, ["evaluate", "--run", run_copy, "--data", tiny_data], "best.safetensors", "fit")


RESUMED = [("last.safetensors", cut), ("last.safetensors", empty), ("config.json", cut),
           ("config.json", entry("fit"))]  # fmt: skip


@pytest.mark.parametrize(("name", "broken"), RESUMED)
def test_a_run_that_cannot_go_on_says_why(name, broken, run_copy, tiny_data, capsys):
    broken(run_copy / name)
    how = ["--network", "resnet10-half", "--epochs", "3", "--batch-size", "16", "--average", "0.5",
           "--precision", "auto", "--dropout", "0", "--mixup", "0", "--device", "cpu"]  # fmt: skip
    command = ["fit", "baseline", "--data", tiny_data, "--run", run_copy, *how, "--resume"]
    refused(capsys, command, str(run_copy / name))


DECIDED = [("calibration.json", cut), ("calibration.json", text("{}")),
           ("calibration.json", latin)]  # fmt: skip


@pytest.mark.parametrize(("name", "broken"), DECIDED)
def test_a_calibration_that_is_broken_is_named(name, broken, run_copy, tiny_data, capsys):
    (run_copy / name).write_text(json.dumps({"checkpoint_sha256": "0", "decisions": {}}))
    broken(run_copy / name)
    command = ["evaluate", "--run", run_copy, "--data", tiny_data]
    refused(capsys, command, "calibration.json", "again")


RESULTS = [
    ("evaluation-validation.json", cut),
    ("evaluation-validation.json", text("{}")),
    ("log.csv", latin),
    ("log.csv", cell("seconds", "long")),
    ("log.csv", empty),
]


@pytest.mark.parametrize(("name", "broken"), RESULTS)
def test_results_that_are_broken_are_named(name, broken, run_copy, tiny_data, tmp_path, capsys):
    assert main(["evaluate", "--run", str(run_copy), "--data", str(tiny_data)]) == 0
    broken(run_copy / name)
    figure = ["--output", tmp_path / "figure.png"]
    refused(capsys, ["visualize", "pose", "--runs", run_copy, *figure], name)


IDENTITY = [b"", b"no weights", b"PK\x03\x04 cut off", b"\x80\x02]q\x00."]


@pytest.mark.parametrize("content", IDENTITY)
def test_an_identity_file_that_is_none_is_named(content, tiny_data, tmp_path, capsys):
    (tmp_path / "id.pt").write_bytes(content)
    command = ["fit", "ipd_fer", "--data", tiny_data, "--run", tmp_path / "r", "--device", "cpu"]
    refused(capsys, [*command, "--identity", tmp_path / "id.pt"], "--identity", "id.pt")


@pytest.fixture
def ferplus(tmp_path):
    """One picture of each split, in zips, and their poses."""
    points = {f"{axis}_{point}": "20" for point in ("eye_l", "eye_r", "nose", "mouth_l", "mouth_r")
              for axis in "xy"}  # fmt: skip
    points |= {"x_eye_r": "30", "y_mouth_l": "35", "y_mouth_r": "35", "x_mouth_r": "30"}
    rows = []
    for name in ("FER2013Train", "FER2013Valid", "FER2013Test"):
        save_picture(tmp_path / "picture.png", 0, size=48, grey=True)
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as pictures:
            pictures.write(tmp_path / "picture.png", f"{name}/a.png")
            pictures.writestr(f"{name}/label.csv", "a.png,0 0 48 48,10,0,0,0,0,0,0,0,0,0\n")
        angles = {"yaw": "1", "pitch": "2", "roll": "3", "score": "1", "flip_error": "0"}
        rows.append({"split": name, "image": "a.png"} | angles | points)
    with open(tmp_path / "pose.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path


def relabelled(content: bytes):
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as pictures:
            pictures.writestr(f"{path.stem}/label.csv", content)

    return write


def flipped(path: Path) -> None:
    """A byte of the first picture is another."""
    content = bytearray(path.read_bytes())
    content[60] ^= 255
    path.write_bytes(bytes(content))


FERPLUS = [
    ("FER2013Train.zip", cut),
    ("FER2013Train.zip", empty),
    ("FER2013Train.zip", flipped),
    ("FER2013Train.zip", relabelled(b"\xff\xfe\xff")),
    ("FER2013Train.zip", relabelled(b"a.png,0,ten,0,0,0,0,0,0,0,0,0\n")),
    ("pose.csv", cell("yaw", "left")),
    ("pose.csv", cell("x_nose", "")),
    ("pose.csv", without("score")),
    ("pose.csv", without("flip_error")),
    ("pose.csv", latin),
    ("pose.csv", empty),
    ("pose.csv", cut),
]


def test_ferplus_as_it_is_can_be_prepared(ferplus, tmp_path):
    command = ["prepare", "ferplus", "--source", ferplus, "--output", tmp_path / "out"]
    assert main(list(map(str, command))) == 0


@pytest.mark.parametrize(("name", "broken"), FERPLUS)
def test_ferplus_that_is_broken_is_named(name, broken, ferplus, tmp_path, capsys):
    broken(ferplus / name)
    command = ["prepare", "ferplus", "--source", ferplus, "--output", tmp_path / "out"]
    refused(capsys, command, name.removesuffix(".zip"))
    assert not (tmp_path / "out" / "faces.npy").exists()


def test_an_error_of_the_system_without_a_number_is_a_line(tmp_path, capsys, monkeypatch):
    def broken(*_):
        raise OSError("image file is truncated")

    monkeypatch.setattr("train.evaluation.evaluate.read_prepared", broken)
    refused(capsys, ["evaluate", "--run", tmp_path], "image file is truncated")
