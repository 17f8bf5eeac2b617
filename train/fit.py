"""Epochs, device, precision, checkpoints, resume, logging. Knows no method.

What a recipe offers is written down in train.recipes.recipe.
"""

from __future__ import annotations

import math
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from types import GenericAlias
from typing import Any, Generic, TypeVar

import torch
from torch.optim.swa_utils import AveragedModel

from train.data.batches import FaceDataset, Shard, training_loader
from train.data.prepared import PreparedFaces, read_prepared
from train.devices import AUTO, check_one_precision, choose_precision, make_fabric
from train.errors import UserError
from train.options import Count, Minutes, Seed, Share
from train.progress import progress
from train.recipes import RECIPES
from train.runs.checkpoint import fitting, load_state, save_state
from train.runs.folder import RunFolder, plain
from train.runs.initial import recognition_start

UNFINISHED = 3
"""Exit code of a command that the end of its time has stopped."""

Options = TypeVar("Options")

SAMPLE = 512
"""Training faces of which a start may take statistics."""

CHECK_EVERY = 50
"""Steps between looks at whether the losses are still numbers."""


@dataclass(frozen=True)
class FitOptions:
    """What training needs whatever the recipe is."""

    data: Path
    """Folder that `prepare` wrote."""
    run: Path
    """Folder for configuration, log, curves and checkpoints."""
    epochs: Count = 24
    batch_size: Count = 64
    """Faces in a step, over all devices together."""
    seed: Seed = 0
    balance: Share = 0.0
    """How far rare classes are drawn more often: 0 every face once, 1 all classes equally often."""
    mean_class: Share = 0.0
    """Share of mean-class accuracy in the score that chooses the best epoch; accuracy has the
    rest."""
    average: Share = 0.999
    """Decay of the averaged copy of the weights, the one that is validated and exported."""
    device: str = "auto"
    """auto, cpu or cuda."""
    precision: str = AUTO
    """As Lightning Fabric names it: 32-true, bf16-mixed or 16-mixed. auto: bf16-mixed where the
    device computes in bfloat16, 32-true elsewhere; with --resume, that of the run."""
    devices: Count = 1
    """Devices (on a CPU: processes) of each node, which share every batch."""
    nodes: Count = 1
    """Machines; start the same command on each with MASTER_ADDR, MASTER_PORT and NODE_RANK set."""


def warm_average(decay: float):
    """An exponential average that forgets faster at first, when the weights are still poor.

    The count of updates stays a tensor: as a number it would make the CPU wait for the GPU.
    """

    def average(averaged: list[torch.Tensor], current: list[torch.Tensor], count: torch.Tensor):
        updates = count.double()
        share = ((1 + updates) / (10 + updates)).clamp(max=decay)
        for old, new in zip(averaged, current, strict=True):
            floating = old.is_floating_point()
            old.copy_(torch.lerp(new, old, share.to(old.dtype)) if floating else new)

    return average


def settled(options: FitOptions, resume: bool) -> tuple[FitOptions, str]:
    """The options with a precision in the place of auto, and the reason in brackets; "" where the
    precision was given.

    A run keeps the one that it was started with, on whatever machine it goes on: another one would
    change its numbers, in silence.
    """
    if options.precision != AUTO:
        return options, ""
    if not resume:
        precision, why = choose_precision(options.device)
    else:
        config = RunFolder(options.run).config()
        precision, why = config["fit"]["precision"], "as the run was started"
        if precision == "bf16-mixed" and choose_precision(options.device)[0] != precision:
            why += "; slow here, where bfloat16 is emulated"
    return replace(options, precision=precision), f" ({why})"


def configuration(
    recipe_name: str, options: FitOptions, recipe_options, classes: tuple[str, ...]
) -> dict:
    """What config.json holds: all that a run has to agree on with the one it resumes."""
    return {
        "recipe": recipe_name,
        "classes": list(classes),
        "fit": {key: value for key, value in plain(options).items() if key != "run"},
        "options": plain(recipe_options),
        "model": plain(RECIPES[recipe_name].architecture(recipe_options, len(classes))),
        "started_from": recognition_start(getattr(recipe_options, "initial", None)),
    }


def fit(
    recipe_name: str,
    options: FitOptions,
    recipe_options,
    data: PreparedFaces,
    resume: bool,
    deadline: float = math.inf,
) -> list[dict]:
    """Train a recipe; returns the log, one dict an epoch. Of several processes the first alone
    validates and writes files.

    deadline: of time.monotonic(), after which no further epoch starts; the log is shorter then.
    """
    from lightning_fabric import seed_everything  # as late as in make_fabric

    run = RunFolder(options.run)
    auto = options.precision == AUTO
    options, why = settled(options, resume)
    config = configuration(recipe_name, options, recipe_options, data.classes)
    for split in ("train", "validation"):
        if not len(data.rows(split)):
            raise UserError(f"{options.data} has no {split} faces; fit needs both of them.")
    fabric = make_fabric(options.device, options.precision, options.devices, options.nodes)
    if auto:
        check_one_precision(fabric, options.precision)
    run.start(config, resume, write=False)
    seed_everything(options.seed, verbose=False)
    recipe: Any = RECIPES[recipe_name](recipe_options, data.classes)
    if fabric.is_global_zero:  # now, as the recipe has found nothing wrong with its options
        run.start(config, resume)
    if getattr(recipe_options, "initial", None):  # which may want statistics of faces
        rows = data.rows("train")
        recipe.sample = torch.from_numpy(data.faces[rows[:: max(len(rows) // SAMPLE, 1)][:SAMPLE]])
    with fabric.rank_zero_first():
        extra = recipe.prepare(data, options.data, fabric)
    dataset = FaceDataset(data, recipe.rows(data), extra)
    shard = Shard(fabric.global_rank, fabric.world_size, options.seed)
    loader = training_loader(dataset, options.batch_size, shard, options.balance)
    recipe.setup(fabric, steps=options.epochs * len(loader))
    average = warm_average(options.average)
    averaged = AveragedModel(recipe.model, multi_avg_fn=average, use_buffers=True)
    log = _restore(run, recipe, averaged) if resume else []
    fabric.print(
        f"{recipe_name} on {fabric.device}, {options.precision}{why}: {len(dataset)} faces, "
        f"epochs {len(log) + 1} to {options.epochs}, {run.path}"
    )
    for epoch in range(len(log) + 1, options.epochs + 1):
        # The first process decides for all of them.
        if fabric.broadcast(time.monotonic() > deadline):
            break
        # Seeding every epoch makes a resumed run continue exactly as an uninterrupted one.
        epoch_seed = options.seed * 100_003 + epoch
        seed_everything(epoch_seed + fabric.global_rank * 10_000_019, verbose=False)
        shard.start_epoch(loader, epoch)
        row = _train_epoch(recipe, averaged, loader, fabric, epoch)
        log.append(row)
        if fabric.is_global_zero:
            row |= recipe.validate(averaged.module, data, extra, fabric)
            _keep(run, recipe, averaged, log, config, options.mean_class)
            recipe.picture(data, extra, run.path / f"faces-{epoch}.png")
            print(_summary(row))
    return log


def _summary(row: dict) -> str:
    """The epoch's scores on validation, in a line."""
    scores = [
        f"{key.replace('_', ' ')} {value:.4f}"
        for key, value in row.items()
        if not key.startswith(("epoch", "seconds", "loss_")) and value is not None
    ]
    return f"epoch {row['epoch']}: {', '.join(scores)}"


def _train_epoch(recipe, averaged, loader, fabric, epoch: int) -> dict:
    recipe.model.train()
    sums: dict = defaultdict(float)
    started = time.monotonic()
    quiet = not fabric.is_global_zero
    batches = progress(loader, desc=f"epoch {epoch}", unit="steps", leave=False, disable=quiet)
    for step, batch in enumerate(batches, start=1):
        losses = recipe.step(batch.to(fabric.device))
        averaged.update_parameters(recipe.model)
        for name, loss in losses.items():
            # Summed where they are: reading a number makes the CPU wait for the GPU.
            sums[name] += loss.detach().double()
        if step % CHECK_EVERY == 0:
            _finite_means(sums, step, fabric, epoch)
    means = _finite_means(sums, len(loader), fabric, epoch)
    rounded = {f"loss_{name}": round(mean, 5) for name, mean in means.items()}
    return {"epoch": epoch, "seconds": round(time.monotonic() - started, 1), **rounded}


def _finite_means(sums: dict, steps: int, fabric, epoch: int) -> dict[str, float]:
    """The mean losses so far over all processes, which thereby agree on when to stop: UserError
    where one is no finite number."""
    totals = fabric.all_reduce(torch.stack(list(sums.values()))).tolist()
    means = {name: total / steps for name, total in zip(sums, totals, strict=True)}
    if not all(map(math.isfinite, means.values())):
        raise UserError(
            f"The loss became {means} in epoch {epoch}; the checkpoint of the last good "
            "epoch is kept. Lower the learning rate, or use --precision 32-true."
        )
    return means


def _keep(run: RunFolder, recipe, averaged, log: list[dict], config: dict, mean_class) -> None:
    scores = [recipe.score(row, mean_class) for row in log]
    if scores[-1] >= max(scores):
        # Its entry model is the weights: how they are to be put together stands in config.json.
        best = config | {"model": averaged.module.state_dict(), "log": log[-1]}
        save_state(run.best, best)
    run.write_log(log)
    # Last: what it counts as done is not done again, so all else has to be there by then.
    state = {"recipe": recipe.state(), "averaged": averaged.state_dict(), "log": log}
    save_state(run.last, state)


def _restore(run: RunFolder, recipe, averaged) -> list[dict]:
    state = load_state(run.last)
    with fitting(run.last):
        recipe.load_state(state["recipe"])
        averaged.load_state_dict(state["averaged"])
        return state["log"]


@dataclass(frozen=True)
class Fit(Generic[Options]):
    """Train, keep a checkpoint every epoch, choose the best epoch on validation."""

    fit: FitOptions
    options: Options
    resume: bool = False
    """Go on after the last finished epoch of --run."""
    minutes: Minutes = math.inf
    """Stop after the epoch in which so many minutes are over; the exit code is 3 then."""

    def run(self) -> int:
        deadline = time.monotonic() + 60 * self.minutes
        names = {recipe.options_type: name for name, recipe in RECIPES.items()}
        data = read_prepared(self.fit.data)
        log = fit(names[type(self.options)], self.fit, self.options, data, self.resume, deadline)
        if len(log) < self.fit.epochs:
            print(f"Not finished: {len(log)} of {self.fit.epochs} epochs; --resume goes on.")
            return UNFINISHED
        return 0


def _what_it_is(recipe: type) -> str:
    """The first paragraph of the recipe's file."""
    return (sys.modules[recipe.__module__].__doc__ or "").partition("\n\n")[0]


FIT = {
    name: (_what_it_is(recipe), GenericAlias(Fit, (recipe.options_type,)))
    for name, recipe in RECIPES.items()
}
"""The commands of ``python -m train fit``."""
