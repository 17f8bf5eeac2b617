"""``python -m tests.train.still DATA RUN DEVICES``: the baseline without what differs between
one process and several, so that test_distributed can compare them.

Nothing is drawn at random: no augmentation, no mixup, no dropout. Batch normalisation keeps its
first statistics. All poses are known, so that a mean over known poses is one over faces. An epoch
is one step with all faces, so that their order does not matter.
"""

import dataclasses
import sys
from pathlib import Path

from train.data.prepared import read_prepared
from train.fit import FitOptions, fit
from train.recipes import RECIPES
from train.recipes.baseline import Baseline, BaselineOptions


class Still(Baseline):
    """The networks, losses and optimizer of the baseline."""

    def __init__(self, options, classes):
        super().__init__(options, classes)
        self.augment = lambda pixels, pose: (pixels, pose)

    def step(self, batch):
        self.model.eval()  # of dropout and batch normalisation
        return super().step(batch)


def main(folder: Path, run: Path, devices: int) -> None:
    RECIPES["still"] = Still
    data = read_prepared(folder)
    data = dataclasses.replace(data, pose_trusted=data.pose_trusted | True)
    options = FitOptions(
        folder, run, epochs=3, batch_size=len(data.rows("train")), average=0.5, device="cpu",
        precision="32-true", devices=devices,
    )  # fmt: skip
    recipe = BaselineOptions(network="resnet10-half", mixup=0.0, rate=1e-3)
    log = fit("still", options, recipe, data, resume=False)
    print("finished", len(log))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
