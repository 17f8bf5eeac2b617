"""What every recipe offers to train.fit, and what all of them do alike: optimizers, the update of
some weights, saving and loading."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from train.data.batches import Arrays, Batch, FaceDataset, evaluation_loader
from train.data.examples import examples
from train.data.predictions import predict
from train.data.prepared import PreparedFaces
from train.files import save_figure
from train.metrics import expression_scores, pose_scores
from train.networks.face_model import Architecture, FaceModel
from train.plots import plot_faces
from train.recipes.described import Made, Method
from train.recipes.schedules import ScheduleName, make_schedule

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Update:
    """Some weights that go down a loss of their own, by Adam.

    schedule: None for one and the same rate. clip: largest norm of the gradient, None for any.
    decay: as AdamW has it; with 0 that is Adam. momentum: whether one-cycle moves the first beta.
    """

    weights: Iterable[nn.Parameter]
    rate: float
    schedule: ScheduleName | None
    clip: float | None
    decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: bool = True


class Recipe(ABC):
    """A method of training :attr:`model`, what inference keeps. Made from its options (a frozen
    dataclass, :attr:`options_type`) and the names of the classes."""

    options_type: type
    feature_dim: int | None = None
    """Numbers in f_exp and f_pose; None for each encoder's own count."""
    switches: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The options that take a module or a loss out, and of each the weights that do the same where
    all of them are 0."""
    values: tuple[str, ...] = ()
    """The options that make several methods of the recipe by their values."""
    needs: ClassVar[Mapping[str, str | None]] = {}
    """The options that somebody has to give, and the switch without which nobody has to."""
    methods: ClassVar[Mapping[str, Method]] = {}
    """What `reproduce` compares of it, by name."""
    makers: tuple[str, ...] = ()
    """Of :attr:`networks` those that make faces, see :meth:`made`."""
    renamed: ClassVar[Mapping[str, str]] = {}
    """What earlier checkpoints call networks and updates, and what they are called now."""
    model: FaceModel
    sample: Tensor | None = None
    """Some training faces, uint8 (n, 112, 112, channels), of which a start may need statistics."""
    networks: nn.ModuleDict
    """All that training changes, the model among them, by the names of the paper."""

    def __init__(self, options, classes: tuple[str, ...]):
        self.options = options

    @classmethod
    def architecture(cls, options, classes: int) -> Architecture:
        """What :attr:`model` is; options: those of the recipe."""
        networks = options.network, options.pose_network
        return Architecture(*networks, classes, options.dropout, cls.feature_dim)

    def prepare(self, data: PreparedFaces, folder: Path, fabric) -> Arrays | None:
        """Whatever is computed of every face once, float32 (n, …) by name, or None: f_id, or the
        probabilities of a teacher. Batch.extra holds it.

        folder: where the prepared data lies, and what is worth keeping is kept.
        """
        return None

    def rows(self, data: PreparedFaces) -> np.ndarray:
        """The faces to train on."""
        return data.rows("train")

    @abstractmethod
    def updates(self) -> dict[str, Update]:
        """By name, what a step changes; each is an optimizer of its own."""

    @abstractmethod
    def wrap(self, fabric) -> None:
        """Let the fabric have the networks that a step calls, which are on the device by now."""

    def setup(self, fabric, steps: int) -> None:
        """Place the networks on the device and make the optimizers for `steps` steps."""
        self.fabric = fabric
        self.networks.to(fabric.device, memory_format=torch.channels_last)
        self.wrap(fabric)
        self.optimizers, self.schedules, self.clip = {}, {}, {}
        for name, update in self.updates().items():
            optimizer = torch.optim.AdamW(
                update.weights, update.rate, update.betas, weight_decay=update.decay
            )
            if update.schedule:
                self.schedules[name] = make_schedule(
                    update.schedule, optimizer, steps, update.momentum
                )
            self.optimizers[name] = fabric.setup_optimizers(optimizer)
            self.clip[name] = update.clip

    def plain(self, name: str) -> Any:
        """One of the networks as it is, not as the fabric calls it: without waiting for other
        processes, of which one alone may draw, and without its precision."""
        return self.networks[name]

    @abstractmethod
    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of training; returns the losses by name."""

    def descend(self, name: str, loss: Tensor) -> None:
        """Change the weights of an update by one step down the loss."""
        optimizer, clip = self.optimizers[name], self.clip[name]
        self.fabric.backward(loss)
        if clip is not None:
            # What is not finite is reported by the loop, which knows of every recipe's losses.
            self.fabric.clip_gradients(
                self.networks, optimizer, max_norm=clip, error_if_nonfinite=False
            )
        optimizer.step()
        # Of all networks: an update leaves gradients in some that it does not change.
        self.networks.zero_grad()

    def advance(self) -> None:
        """Go on in the schedules, at the end of a step."""
        for schedule in self.schedules.values():
            schedule.step()

    def validate(
        self, model: FaceModel, data: PreparedFaces, extra: Arrays | None, fabric
    ) -> dict[str, float | None]:
        """Scores on validation of `model`, the averaged weights: accuracy, mean-class accuracy and
        pose errors. extra: what :meth:`prepare` gave."""
        rows = data.rows("validation")
        dataset = FaceDataset(data, rows)
        found = predict(model, evaluation_loader(dataset), data.rotation[rows], fabric)
        scores = expression_scores(found.probabilities, data.label[rows])
        bins, known = dataset.yaw_bin.numpy(), dataset.pose_known.numpy()
        pose = pose_scores(found, data.pose[rows], bins, known)
        errors = {f"{angle}_error": pose[angle] for angle in ("yaw", "pitch", "roll")}
        return {key: scores[key] for key in ("accuracy", "mean_class_accuracy")} | errors

    def score(self, row: dict, mean_class: float) -> float:
        """What chooses the best epoch, higher is better: of the scores of :meth:`validate` the
        accuracy, and of mean-class accuracy the share `mean_class`."""
        return (1 - mean_class) * row["accuracy"] + mean_class * row["mean_class_accuracy"]

    def picture(self, data: PreparedFaces, extra: Arrays | None, path: Path) -> None:
        """Draw after an epoch what can be seen of the training: what :meth:`made` makes of eight
        validation faces; nothing where nothing makes faces."""
        if self.makers:
            batch = self.examples(data)
            made = self.made(batch.faces, batch.label)
            columns = {each.title: each.pixels.cpu().numpy() for each in made}
            save_figure(plot_faces(columns), path)

    def examples(self, data: PreparedFaces) -> Batch:
        """Eight validation faces to draw, on the device."""
        dataset = FaceDataset(data, examples(data, data.rows("validation")))
        return dataset.__getitems__(range(len(dataset))).to(self.fabric.device)

    def made(self, faces: Tensor, label: Tensor, first: int = 0) -> Iterator[Made]:
        """What :attr:`makers` make of faces, uint8 (n, 112, 112, channels), of the classes `label`,
        int64 (n,), and what that should show; first: how many faces there were before."""
        raise NotImplementedError

    def state(self) -> dict:
        """Everything that training needs to go on, as nested dicts of tensors and numbers."""
        return {
            "networks": self.networks.state_dict(),
            "optimizers": {name: each.state_dict() for name, each in self.optimizers.items()},
            "schedules": {name: each.state_dict() for name, each in self.schedules.items()},
        }

    def load_state(self, state: dict) -> None:
        """Go on from what :meth:`state` gave, of this version or of an earlier one."""
        state = self.as_now(state)
        self.networks.load_state_dict(state["networks"])
        for own, found in (
            (self.optimizers, state["optimizers"]),
            (self.schedules, state["schedules"]),
        ):
            for name, each in own.items():
                each.load_state_dict(found[name])

    @classmethod
    def as_now(cls, state: Mapping[str, Any]) -> dict[str, dict]:
        """A state under the names of now. Earlier ones had the model and its optimizer beside all
        other networks and updates, and names of their own for these, :attr:`renamed`."""
        now = {
            part: {
                _renamed(name, cls.renamed): value for name, value in state.get(part, {}).items()
            }
            for part in ("networks", "optimizers", "schedules")
        }
        for part in ("model", "centres"):
            found = state.get(part, {}).items()
            now["networks"] |= {f"{part}.{name}": value for name, value in found}
        for part in ("optimizer", "schedule"):
            if part in state:
                now[f"{part}s"]["model"] = state[part]
        return now


def _renamed(name: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        if name == old or name.startswith(f"{old}."):
            return new + name.removeprefix(old)
    return name


@contextmanager
def fixed(network: Network) -> Iterator[Network]:
    """Inside, the network's weights take no gradient and its statistics stay as they are."""
    network.requires_grad_(False).eval()
    try:
        yield network
    finally:
        network.requires_grad_(True).train()


@contextmanager
def statistics_kept(network: Network) -> Iterator[Network]:
    """Inside, batch normalisation goes by the batch, but does not remember it."""
    norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield network
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
