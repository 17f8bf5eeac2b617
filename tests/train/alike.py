"""``python -m tests.train.alike RECIPE DATA RUN [PEOPLE]``: a recipe in two processes, which stops
where their weights are not the same after a step, so that test_distributed can see it."""

import sys
from pathlib import Path

import torch

from tests.train.conftest import load_stand_in
from tests.train.training import fit_options
from train.data.prepared import read_prepared
from train.fit import fit
from train.recipes import RECIPES, ipd_fer

SMALL = {"network": "resnet10-half", "decoder_width": 4}
OPTIONS = {
    "ipd_fer": SMALL | {"identity": "stand-in"},
    "joint_pose_expression": SMALL | {"generated": 1},
    "tdgan": SMALL,
}


def watched(kind: type) -> type:
    """The recipe, compared over all processes after each step."""

    class Watched(kind):
        def step(self, batch):
            losses = super().step(batch)
            modules = self.model, self.networks
            each = [weight.detach() for module in modules for weight in module.parameters()]
            sums = torch.stack([weight.double().sum() for weight in each])
            first, second = self.fabric.all_gather(sums)
            assert torch.equal(first, second), f"{(first != second).sum()} of {len(sums)} differ"
            return losses

    return Watched


def main(name: str, folder: Path, run: Path, people: Path | None = None) -> None:
    ipd_fer.load_identity = load_stand_in
    RECIPES[name] = watched(RECIPES[name])
    more = {"faces": people} if name == "tdgan" else {}
    options = fit_options(folder, run, epochs=1, devices=2)
    recipe = RECIPES[name].options_type(**OPTIONS[name], **more)
    fit(name, options, recipe, read_prepared(folder), resume=False)


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
