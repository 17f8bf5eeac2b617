"""Epochs, device, precision, checkpoints, resume, logging. Knows no method.

What a recipe offers is written down in train.recipes.recipe.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric, seed_everything
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from train.checkpoint import load_state, save_state
from train.data.batches import FaceDataset, Shard, evaluation_loader, training_loader
from train.data.prepared import DataError, PreparedFaces
from train.metrics import expression_scores, pose_scores, predict
from train.recipes import RECIPES
from train.run import RunFolder, plain


@dataclass(frozen=True)
class FitOptions:
    """What training needs whatever the recipe is."""

    data: Path
    """Folder that `prepare` wrote."""
    run: Path
    """Folder for configuration, log, curves and checkpoints."""
    epochs: int = 24
    batch_size: int = 64
    """Faces in a step, over all devices together."""
    seed: int = 0
    average: float = 0.999
    """Decay of the averaged copy of the weights, the one that is validated and exported."""
    device: str = "auto"
    """auto, cpu or cuda."""
    precision: str = "bf16-mixed"
    """As Lightning Fabric names it: 32-true, bf16-mixed or 16-mixed."""
    devices: int = 1
    """Devices (on a CPU: processes) of each node, which share every batch."""
    nodes: int = 1
    """Machines; start the same command on each with MASTER_ADDR, MASTER_PORT and NODE_RANK set."""


def make_fabric(device: str, precision: str, devices: int = 1, nodes: int = 1) -> Fabric:
    """A launched Fabric on the devices asked for; DataError where they cannot be had.

    Several devices train as one (distributed data parallel: the gradients are averaged after each
    step). The same as on one device are the number of faces in a step, losses that are means over
    faces, and the update that a set of faces gives. Different are the order of the faces, the
    augmentation, which each device draws for itself, batch normalisation, which sees the faces of
    its own device alone, and means over the faces whose pose is known, taken on each device first.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise DataError(f"Unknown device {device!r}; choose auto, cpu or cuda.")
    if device == "cuda" and not torch.cuda.is_available():
        raise DataError(
            f"--device cuda: PyTorch {torch.__version__} sees no CUDA device. Install a CUDA build "
            "and a driver, or use --device cpu."
        )
    if device == "cuda" and torch.cuda.device_count() < devices:
        raise DataError(
            f"--devices {devices}: PyTorch sees {torch.cuda.device_count()} CUDA devices."
        )
    fabric = Fabric(accelerator=device, devices=devices, num_nodes=nodes, precision=precision)
    fabric.launch()
    return fabric


def warm_average(decay: float):
    """An exponential average that forgets faster at first, when the weights are still poor."""

    def average(averaged: torch.Tensor, current: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        if not averaged.is_floating_point():
            return current
        updates = float(count)
        return torch.lerp(current, averaged, min(decay, (1 + updates) / (10 + updates)))

    return average


def fit(recipe_name: str, options: FitOptions, recipe_options, data: PreparedFaces, resume: bool):
    """Train a recipe; returns the log, one dict an epoch. Of several processes the first alone
    validates and writes files."""
    run = RunFolder(options.run)
    config = {
        "recipe": recipe_name,
        "classes": list(data.classes),
        "fit": {key: value for key, value in plain(options).items() if key != "run"},
        "options": plain(recipe_options),
    }
    for split in ("train", "validation"):
        if not len(data.rows(split)):
            raise DataError(f"{options.data} has no {split} faces; fit needs both of them.")
    fabric = make_fabric(options.device, options.precision, options.devices, options.nodes)
    run.start(config, resume, write=fabric.is_global_zero)
    seed_everything(options.seed, verbose=False)
    recipe = RECIPES[recipe_name](recipe_options, data.classes)
    with fabric.rank_zero_first():
        identity = recipe.prepare(data, options.data, fabric)
    dataset = FaceDataset(data, data.rows("train"), identity)
    shard = Shard(fabric.global_rank, fabric.world_size, options.seed)
    loader = training_loader(dataset, options.batch_size, shard)
    recipe.setup(fabric, steps=options.epochs * len(loader))
    averaged = AveragedModel(recipe.model, avg_fn=warm_average(options.average), use_buffers=True)
    log = _restore(run, recipe, averaged) if resume else []
    fabric.print(
        f"{recipe_name} on {fabric.device}, {options.precision}: {len(loader.dataset)} faces, "
        f"epochs {len(log) + 1} to {options.epochs}, {run.path}"
    )
    for epoch in range(len(log) + 1, options.epochs + 1):
        # Seeding every epoch makes a resumed run continue exactly as an uninterrupted one.
        epoch_seed = options.seed * 100_003 + epoch
        seed_everything(epoch_seed + fabric.global_rank * 10_000_019, verbose=False)
        shard.start_epoch(loader, epoch)
        row = _train_epoch(recipe, averaged, loader, fabric, epoch)
        log.append(row)
        if fabric.is_global_zero:
            row |= validate(averaged.module, data, fabric)
            _keep(run, recipe, averaged, log, config)
            recipe.picture(data, identity, run.path / f"faces-{epoch}.png")
            print(_summary(row))
    return log


def _summary(row: dict) -> str:
    yaw = "unknown" if row["yaw_error"] is None else f"{row['yaw_error']:.2f}°"
    return (
        f"epoch {row['epoch']}: accuracy {row['accuracy']:.4f}, mean class "
        f"{row['mean_class_accuracy']:.4f}, yaw error {yaw}"
    )


def validate(model, data: PreparedFaces, fabric, split: str = "validation") -> dict:
    """Accuracy, mean-class accuracy and pose errors of a model on one split."""
    rows = data.rows(split)
    dataset = FaceDataset(data, rows)
    found = predict(model, evaluation_loader(dataset), data.rotation[rows], fabric)
    scores = expression_scores(found.probabilities, data.label[rows])
    pose = pose_scores(found, data.pose[rows], dataset.yaw_bin.numpy(), dataset.pose_known.numpy())
    errors = {f"{angle}_error": pose[angle] for angle in ("yaw", "pitch", "roll")}
    return {key: scores[key] for key in ("accuracy", "mean_class_accuracy")} | errors


def _train_epoch(recipe, averaged, loader, fabric, epoch: int) -> dict:
    recipe.model.train()
    sums, started = defaultdict(float), time.monotonic()
    quiet = not fabric.is_global_zero
    for batch in tqdm(loader, desc=f"epoch {epoch}", leave=False, mininterval=1, disable=quiet):
        losses = recipe.step(batch.to(fabric.device))
        averaged.update_parameters(recipe.model)
        for name, loss in losses.items():
            # The mean over all processes: they must also agree on when to stop.
            sums[name] += float(fabric.all_reduce(loss.detach()))
        if not all(math.isfinite(value) for value in sums.values()):
            raise DataError(
                f"The loss became {dict(sums)} in epoch {epoch}; the checkpoint of the last good "
                "epoch is kept. Lower the learning rate, or use --precision 32-true."
            )
    means = {f"loss_{name}": round(total / len(loader), 5) for name, total in sums.items()}
    return {"epoch": epoch, "seconds": round(time.monotonic() - started, 1), **means}


def _keep(run: RunFolder, recipe, averaged, log: list[dict], config: dict) -> None:
    state = {"recipe": recipe.state(), "averaged": averaged.state_dict(), "log": log}
    save_state(run.last, state)
    if log[-1]["accuracy"] >= max(row["accuracy"] for row in log):
        save_state(run.best, {"model": averaged.module.state_dict(), "log": log[-1], **config})
    run.write_log(log)


def _restore(run: RunFolder, recipe, averaged) -> list[dict]:
    state = load_state(run.last)
    recipe.load_state(state["recipe"])
    averaged.load_state_dict(state["averaged"])
    return state["log"]
