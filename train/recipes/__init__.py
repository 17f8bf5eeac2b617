"""One file per method: its networks, its losses and one training step."""

from collections.abc import Mapping

from train.errors import UserError
from train.recipes.baseline import Baseline
from train.recipes.distill import Distill
from train.recipes.fdrl import Fdrl
from train.recipes.ipd_fer import IpdFer
from train.recipes.ipd_fer_distill import IpdFerDistill
from train.recipes.joint_pose_expression import JointPoseExpression
from train.recipes.pretrain import Pretrain
from train.recipes.recipe import Recipe
from train.recipes.tdgan import Tdgan

RECIPES: dict[str, type[Recipe]] = {
    "baseline": Baseline,
    "ipd_fer": IpdFer,
    "fdrl": Fdrl,
    "joint_pose_expression": JointPoseExpression,
    "tdgan": Tdgan,
    "pretrain": Pretrain,
    "distill": Distill,
    "ipd_fer_distill": IpdFerDistill,
}


def recipe_of(run: object, config: Mapping) -> type[Recipe]:
    """The recipe of a run, by its config.json; UserError, which says which run it was, where this
    version does not have it."""
    recipe = RECIPES.get(config["recipe"])
    if recipe is None:
        raise UserError(
            f"{run}: there is no recipe {config['recipe']!r}, only {', '.join(RECIPES)}."
        )
    return recipe
