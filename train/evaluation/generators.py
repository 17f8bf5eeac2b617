"""What makes faces in finished runs. All networks are those of the last epoch: the best epoch's
file holds what recognises faces, and no generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from train.data.augmentation import Augmentation
from train.errors import UserError
from train.recipes import recipe_of
from train.recipes.recipe import Recipe
from train.runs.checkpoint import fitting, load_state
from train.runs.folder import RunFolder

AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)

FOR_TRAINING = {"initial": None, "perceptual": None, "augmentation": Augmentation()}
"""Options of recipes that what makes faces does without."""


def load_makers(run: Path, wanted: type[AnyRecipe], **elsewhere: object) -> AnyRecipe:
    """The recipe of a run, with the weights of those of its networks that make faces; UserError
    where it is not a `wanted` one or makes none. elsewhere: options, where not None, that differ
    from those of the training, as the files that they name lie elsewhere."""
    config = RunFolder(run).config()
    kind: Any = recipe_of(run, config)
    if not issubclass(kind, wanted) or not kind.makers:
        raise UserError(f"{run} is a run of {config['recipe']}, which makes no such faces.")
    own = config["options"]
    given = {name: value for name, value in elsewhere.items() if value is not None}
    changes = {name: value for name, value in (FOR_TRAINING | given).items() if name in own}
    options = kind.options_type(**own | changes)
    recipe = kind(options, tuple(config["classes"]))
    if not set(kind.makers) <= set(recipe.networks):
        raise UserError(f"{run} is a run of {config['recipe']} that has no generator.")
    weights = networks_of(run, kind)
    with fitting(RunFolder(run).last):
        for name in kind.makers:
            of = f"{name}."
            own_weights = {
                key.removeprefix(of): value for key, value in weights.items() if key.startswith(of)
            }
            recipe.networks[name].load_state_dict(own_weights)
    recipe.networks.eval()
    return recipe


def networks_of(run: Path, kind: type[Recipe]) -> dict:
    """The weights of all networks of a run of this recipe, under the names of now."""
    path = RunFolder(run).last
    state = load_state(path)
    with fitting(path):
        return kind.as_now(state["recipe"])["networks"]
