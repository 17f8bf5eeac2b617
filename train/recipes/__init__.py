"""One file per method: its networks, its losses and one training step."""

from train.recipes.baseline import Baseline
from train.recipes.ipd_fer import IpdFer

RECIPES = {"baseline": Baseline, "ipd_fer": IpdFer}
