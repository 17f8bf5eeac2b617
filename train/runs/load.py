"""The trained model of a run, from its folder alone: no recipe has to be known for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from train.errors import UserError
from train.networks.face_model import Architecture, FaceModel, build_face_model
from train.networks.mobilefacenet import FEATURE_DIM
from train.runs.checkpoint import fitting, load_state
from train.runs.folder import RunFolder


def load_model(run: Path) -> tuple[FaceModel, dict]:
    """The averaged weights of a run's best epoch, in evaluation mode, and its configuration.

    UserError where `run` is no run, or one whose model this version does not know.
    """
    folder = RunFolder(run)
    config = folder.config()
    model = fresh_model(run, config)
    weights = load_state(folder.best)
    with fitting(folder.best):
        model.load_state_dict(weights["model"])
    return model.eval(), config


def fresh_model(run: object, config: Mapping) -> FaceModel:
    """The model of a run with fresh weights, by its config.json; UserError, which says which run
    it was, where this version cannot make it."""
    if "model" not in config:
        return build_face_model(_of_older_run(run, config))
    try:
        return build_face_model(Architecture(**config["model"]))
    except (RuntimeError, TypeError, UserError, ValueError) as error:
        reason = str(error).rstrip(".")
        raise UserError(
            f"{run}: config.json names a model that cannot be made: {reason}."
        ) from None


def _of_older_run(run: object, config: Mapping) -> Architecture:
    """Before config.json had the entry, it was the recipe and its options that told."""
    recipe, options = config["recipe"], config["options"]
    if recipe not in _OLDER_RECIPES:
        known = ", ".join(_OLDER_RECIPES)
        raise UserError(f"{run}: there is no recipe {recipe!r}, only {known}.")
    linear = Architecture(
        options["network"], options["pose_network"], len(config["classes"]), options["dropout"]
    )
    return dataclasses.replace(linear, **_OLDER_RECIPES[recipe](options))


def _plain(options: Mapping) -> dict:
    return {}


def _as_long_as_f_id(options: Mapping) -> dict:
    return {"feature_dim": FEATURE_DIM}


def _fdrl(options: Mapping) -> dict:
    if not options["fdn"]:
        return {}
    names = {"latents": "latents", "dim": "latent_dim", "delta": "delta", "intra": "intra"}
    names["inter"] = "inter"
    return {"head": "fdrl", "head_options": {name: options[key] for name, key in names.items()}}


def _tdgan(options: Mapping) -> dict:
    return {"head": "tdgan"}


_OLDER_RECIPES: dict[str, Callable[[Mapping], dict]] = {
    "baseline": _plain,
    "ipd_fer": _as_long_as_f_id,
    "fdrl": _fdrl,
    "joint_pose_expression": _plain,
    "tdgan": _tdgan,
    "pretrain": _as_long_as_f_id,
    "distill": _plain,
    "ipd_fer_distill": _as_long_as_f_id,
}
"""What their model has beside both networks, classes and dropout; newer ones are not added."""
