"""One file per method: its networks, its losses and one training step."""

from train.recipes.baseline import Baseline

RECIPES = {"baseline": Baseline}
