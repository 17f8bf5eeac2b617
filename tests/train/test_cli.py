import re
import subprocess
import sys

import pytest

from train.__main__ import COMMANDS, description, main
from train.datasets import PREPARE
from train.figures import FIGURES
from train.fit import FIT


def test_prepared_data_to_model_file(tiny_data, tmp_path):
    run, model = tmp_path / "run", tmp_path / "model.onnx"
    small = ["--network", "resnet10-half", "--epochs", "1", "--batch-size", "32"]
    assert main(["fit", "baseline", "--data", str(tiny_data), "--run", str(run), *small]) == 0
    assert main(["evaluate", "--run", str(run), "--data", str(tiny_data)]) == 0
    assert main(["export", "face", "--run", str(run), "--output", str(model)]) == 0

    assert (run / "evaluation-validation.json").exists() and model.exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["fly"], 2),
        (["prepare", "imagenet"], 2),
        (["fit", "baseline", "--data", "nowhere", "--run", "nowhere"], 1),
        (["evaluate", "--run", "nowhere"], 1),
        (["export", "face", "--run", "nowhere"], 1),
        (["prepare", "ferplus", "--source", "nowhere"], 1),
    ],
)
def test_bad_input_is_one_line_and_a_code(arguments, code, capsys):
    assert main(arguments) == code
    message = capsys.readouterr().err.strip()
    assert message and "\n" not in message


def test_an_unknown_option_is_an_error():
    command = [sys.executable, "-m", "train", "fit", "baseline", "--speed", "9"]
    result = subprocess.run(command, capture_output=True, text=True)

    assert result.returncode == 2
    assert "--speed" in result.stderr and "Traceback" not in result.stderr


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in COMMANDS)


GROUPS = {
    "": COMMANDS,
    "prepare": PREPARE,
    "fit": FIT,
    "visualize": FIGURES,
    "reproduce": COMMANDS["reproduce"].commands,
    "export": COMMANDS["export"].commands,
}


@pytest.mark.parametrize("group", GROUPS)
def test_help_says_of_every_command_what_it_is_for(group, capsys):
    assert main([*group.split(), "--help"]) == 0
    printed = re.sub(r"[│\s]+", " ", capsys.readouterr().out)
    for name, command in GROUPS[group].items():
        about = " ".join(description(command).split())
        assert len(about) > 20 and f"• {name} {about}" in printed


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], ["torch", "matplotlib", "kornia", "tensorboard", "sklearn", "cv2"]),
        (["prepare", "--help"], ["torch", "matplotlib", "kornia", "tensorboard", "sklearn", "cv2"]),
        (["visualize", "--help"], ["torch", "matplotlib", "kornia", "tensorboard", "sklearn"]),
        (["export", "--help"], ["torch", "matplotlib", "kornia", "tensorboard", "sklearn"]),
        (
            ["fit", "baseline", "--help"],
            ["matplotlib", "kornia", "tensorboard", "sklearn", "onnx", "onnxruntime",
             "lightning_fabric", "facenet_pytorch"],
        ),
        (["evaluate", "--help"], ["matplotlib", "kornia", "tensorboard", "sklearn"]),
        (["visualize", "pose", "--help"], ["matplotlib", "kornia", "tensorboard", "sklearn"]),
    ],
)  # fmt: skip
def test_help_loads_little(arguments, absent):
    code = (
        "import sys; from train.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print('loaded', *sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True
    )
    loaded = result.stdout.splitlines()[-1].split()

    assert "usage: python -m train" in result.stdout and loaded[0] == "loaded"
    assert not set(loaded) & set(absent)
