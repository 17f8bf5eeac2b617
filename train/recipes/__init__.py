"""One file per method: its networks, its losses and one training step."""

from train.recipes.baseline import Baseline
from train.recipes.distill import Distill
from train.recipes.ipd_fer import IpdFer
from train.recipes.pretrain import Pretrain

RECIPES = {"baseline": Baseline, "ipd_fer": IpdFer, "pretrain": Pretrain, "distill": Distill}
