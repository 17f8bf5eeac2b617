"""The generators of finished runs. All are those of the last epoch: the best epoch's file holds
what recognises faces, and no generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from train.data.augmentation import Augmentation
from train.errors import UserError
from train.networks.encoders import FaceInput
from train.networks.tdgan import Generator, build_generator
from train.recipes import recipe_of
from train.recipes.ipd_fer import IpdFer
from train.recipes.joint_pose_expression import JointPoseExpression
from train.recipes.recipe import Recipe
from train.recipes.tdgan import Tdgan
from train.runs.checkpoint import fitting, load_state
from train.runs.folder import RunFolder
from train.runs.load import fresh_model


def load_ipd_fer(run: Path, identity: str | None = None) -> IpdFer:
    """IPD-FER with its networks; identity: E_id, where it lies elsewhere than during the training.
    UserError where the run has no G_dec."""
    config = RunFolder(run).config()
    if not issubclass(recipe_of(run, config), IpdFer):
        raise UserError(f"{run} is a run of {config['recipe']}, which has no G_dec.")
    return _trained(run, config, identity=identity or config["options"]["identity"])


def load_joint(run: Path) -> JointPoseExpression:
    """The joint model with its networks; UserError where it generates no faces."""
    config = RunFolder(run).config()
    if not config["options"].get("generated"):
        raise UserError(f"{run} is a run of {config['recipe']} that generates no faces.")
    return _trained(run, config)


def load_tdgan(run: Path) -> tuple[Generator, FaceInput, Path]:
    """G in evaluation mode, what it sees of faces, and the folder of the people it was trained on;
    UserError where the run has none."""
    config = RunFolder(run).config()
    options = config["options"]
    if config["recipe"] != "tdgan" or not options["gan"]:
        raise UserError(f"{run} is a run of {config['recipe']} that has no generator.")
    model = fresh_model(run, config)
    e_e = model.expression.encoder
    generator = build_generator(options["network"], e_e, options["decoder_width"])
    networks = _networks(run, Tdgan)
    with fitting(RunFolder(run).last):
        own = {name: networks[f"G.{name}"] for name in generator.state_dict()}
        generator.load_state_dict(own)
    return generator.eval(), model.expression_input, Path(options["faces"])


def _trained(run: Path, config: dict, **changes: object) -> Any:
    """The recipe of a run with all its networks; changes: of its options."""
    kind: Any = recipe_of(run, config)
    options = config["options"] | {"initial": None, "augmentation": Augmentation()} | changes
    recipe = kind(kind.options_type(**options), tuple(config["classes"]))
    networks = _networks(run, kind)
    with fitting(RunFolder(run).last):
        recipe.networks.load_state_dict(networks)
    return recipe


def _networks(run: Path, kind: type[Recipe]) -> dict:
    path = RunFolder(run).last
    state = load_state(path)
    with fitting(path):
        return kind.as_now(state["recipe"])["networks"]
