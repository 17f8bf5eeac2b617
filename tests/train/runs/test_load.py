"""Runs load by config.json alone, those made before it had the entry model too."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from train.networks.face_model import Architecture, build_face_model
from train.recipes import RECIPES
from train.runs.checkpoint import save_state
from train.runs.folder import RunFolder, plain
from train.runs.load import fresh_model, load_model

EARLIER = Path(__file__).parents[2] / "data" / "earlier" / "runs"
"""Of each recipe config.json, and the names and shapes of the weights, as they were then."""
EARLIER_RECIPES = sorted(path.name for path in EARLIER.iterdir())


def earlier_run(recipe: str, folder: Path) -> Path:
    """The run of then, with weights of 0.5."""
    shutil.copytree(EARLIER / recipe, folder)
    shapes = json.loads((folder / "weights.json").read_text())
    weights = {name: torch.full(shape, 0.5) for name, shape in shapes.items()}
    save_state(RunFolder(folder).best, {"model": weights, "log": {}})
    return folder


@pytest.mark.parametrize("recipe", EARLIER_RECIPES)
def test_a_run_from_before_loads(recipe, tmp_path):
    model, config = load_model(earlier_run(recipe, tmp_path / recipe))
    assert config["recipe"] == recipe and "model" not in config and not model.training
    assert all((weight == 0.5).all() for weight in model.parameters())
    with torch.no_grad():
        found = model(torch.zeros(2, 112, 112, 1, dtype=torch.uint8))
    assert found.expression.shape == (2, len(config["classes"])) and found.pose.shape == (2, 3)


@pytest.mark.parametrize("recipe", EARLIER_RECIPES)
def test_a_run_of_now_says_itself_what_one_from_before_is(recipe, tmp_path):
    config = json.loads((EARLIER / recipe / "config.json").read_text())
    options = RECIPES[recipe].options_type(**config["options"])
    now = plain(RECIPES[recipe].architecture(options, len(config["classes"])))
    before = fresh_model(recipe, config).state_dict()
    found = fresh_model(recipe, {"recipe": "unknown", "model": now}).state_dict()
    assert [(k, v.shape) for k, v in found.items()] == [(k, v.shape) for k, v in before.items()]


def test_no_recipe_is_known_for_it(tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"recipe": "of tomorrow", "options": {}}))
    code = (
        "import sys; from pathlib import Path; from train.runs.load import load_model\n"
        "load_model(Path(sys.argv[1]))\n"
        "print(*[name for name in sys.modules if name.startswith('train.recipes')])"
    )
    command = [sys.executable, "-c", code, str(run)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == ""


def test_the_head_is_made_after_all_else():
    """So a seed gives the weights that it gave when a recipe put its head in place of another."""
    linear = Architecture("resnet10-half", "resnet10-half", 4)
    head = {"latents": 3, "dim": 5, "delta": 0.5, "intra": True, "inter": True}
    fdrl = Architecture("resnet10-half", "resnet10-half", 4, head="fdrl", head_options=head)
    states = []
    for architecture in (linear, fdrl):
        torch.manual_seed(0)
        states.append(build_face_model(architecture).state_dict())
    shared = [name for name in states[0] if not name.startswith("expression.classifier")]
    assert len(shared) > 50 and all(torch.equal(states[0][k], states[1][k]) for k in shared)
