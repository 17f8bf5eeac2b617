"""Trains every method of the paper's comparison over several seeds and writes the table.

All methods get the same networks, or as costly ones, and the same data, augmentation, schedule and
number of epochs. Nothing is done twice: a finished run is measured once, an interrupted one goes on
after its last epoch.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from train.data.augmentation import Augmentation
from train.data.prepared import PreparedFaces, read_prepared
from train.devices import AUTO, choose_precision
from train.errors import UserError
from train.evaluation.comparison import by_method, read_result, write_comparison
from train.evaluation.cost import inference_cost
from train.evaluation.evaluate import evaluate_run
from train.files import file_sha256
from train.fit import UNFINISHED, FitOptions, configuration, fit
from train.options import Count, Minutes, Positive, Seed
from train.recipes import RECIPES
from train.recipes.baseline import BaselineOptions
from train.recipes.methods import METHODS
from train.recipes.schedules import ScheduleName
from train.runs.folder import RunFolder

if TYPE_CHECKING:
    MethodName = str
else:
    MethodName = Literal[tuple(METHODS)]


@dataclass(frozen=True)
class Budget:
    """What every method of a comparison has in common, besides the data."""

    network: str
    pose_network: str
    batch_size: int
    epochs: int
    rate: float
    schedule: ScheduleName
    decay: float
    dropout: float
    mixup: float
    hard_labels: bool
    decoder_width: int | None
    identity_every: int


PAPER = Budget(
    "resnet18", "resnet18", batch_size=32, epochs=30, rate=1e-4, schedule="paper", decay=0.0,
    dropout=0.0, mixup=0.0, hard_labels=True, decoder_width=None,
    identity_every=1,
)  # fmt: skip
# No mixup: IPD-FER mixes in one of its two updates of E_exp only, so it would not be the same for
# all methods.
SMALL = Budget(
    "resnet18-half", "resnet10-half", batch_size=64, epochs=12, rate=1e-3, schedule="one-cycle",
    decay=0.05, dropout=0.3, mixup=0.0, hard_labels=False,
    decoder_width=16, identity_every=4,
)  # fmt: skip


@dataclass(frozen=True)
class Reproduce:
    """Train all methods over several seeds, then write the table. Repeat the same command to go on
    where it stopped."""

    identity: str | None = None
    """E_id and N: file of a MobileFaceNet state dict, facenet-casia or facenet-vggface2."""
    faces: Path | None = None
    """Folder that `prepare people` wrote, for TDGAN."""
    data: Path = Path("data/ferplus")
    """Folder that `prepare` wrote."""
    output: Path = Path("runs/reproduce")
    """Folder for the runs, <method>/seed-<seed>, and for the tables."""
    methods: tuple[MethodName, ...] = tuple(METHODS)
    seeds: Count = 3
    """Runs of each method, with the seeds 0, 1, …"""
    first_seed: Seed = 0
    """Start counting here: several processes may share the work, each with seeds of its own and
    all with one --output. The command for all seeds writes the whole table in the end."""
    paper: bool = False
    """ResNet-18 for all, batches of 32, 30 epochs, a rate of 1e-4 and the majority's labels;
    without, half-wide networks on faces of 56 px, batches of 64 and 12 epochs."""
    network: str | None = None
    """Instead of the one above; likewise the next six."""
    pose_network: str | None = None
    batch_size: Count | None = None
    epochs: Count | None = None
    rate: Positive | None = None
    decoder_width: Count | None = None
    """Of G_dec; that of --network with --paper, else 16, half of it at less than half the cost."""
    identity_every: Count | None = None
    """Take L_id on every so many-th face only: 1 with --paper, else 4."""
    initial: tuple[Path, ...] = ()
    """Run folders to start from: each method starts from the best epoch of the one with its
    network."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    test: bool = False
    """Measure each finished run on test, once. Without, all numbers are of validation."""
    minutes: Minutes = math.inf
    """Stop after the epoch in which so many minutes are over; the exit code is 3 then."""
    device: str = "auto"
    """auto, cpu or cuda."""
    precision: str = AUTO
    """As Lightning Fabric names it: 32-true, bf16-mixed or 16-mixed. auto: that of the runs in
    --output; at first bf16-mixed where the device computes in bfloat16, 32-true elsewhere."""

    def run(self) -> int:
        deadline = time.monotonic() + 60 * self.minutes
        if self.precision == AUTO:
            return replace(self, precision=self._precision()).run()
        data = read_prepared(self.data)
        seeds = range(self.first_seed, self.first_seed + self.seeds)
        plan = list(product(seeds, dict.fromkeys(self.methods)))
        for name in self.methods:
            self._options(name, 0)  # What is missing is better said now than after days.
        finished: list[Path] = []
        # Seed by seed, so that the methods can be compared as soon as the first seed is through.
        for seed, name in plan:
            if not self._finish(name, seed, data, deadline):
                break
            finished.append(self._folder(name, seed))
        if finished:
            print(self._compare(finished))
        if len(finished) < len(plan):
            print(f"Not finished: {len(finished)} of {len(plan)} runs are. Give the same command "
                  "again to go on.")  # fmt: skip
            return UNFINISHED
        return 0

    @property
    def split(self) -> str:
        """The split that the table is about."""
        return "test" if self.test else "validation"

    def _folder(self, name: str, seed: int) -> Path:
        return self.output / name / f"seed-{seed}"

    def _budget(self) -> Budget:
        preset = PAPER if self.paper else SMALL
        names = [field.name for field in dataclasses.fields(Budget) if hasattr(self, field.name)]
        given = {name: getattr(self, name) for name in names}
        return dataclasses.replace(preset, **{k: v for k, v in given.items() if v is not None})

    def _options(self, name: str, seed: int) -> tuple[FitOptions, object]:
        """What the run is trained with: of the loop, and of its recipe."""
        (recipe, method), budget = METHODS[name], dataclasses.asdict(self._budget())
        how = FitOptions(
            self.data, self._folder(name, seed), budget.pop("epochs"), budget.pop("batch_size"),
            seed, device=self.device, precision=self.precision,
        )  # fmt: skip
        kind = RECIPES[recipe]
        known = _names(kind.options_type)
        # Of what only some recipes know each takes its own; what all should know is an error.
        values = budget | {"identity": self.identity, "faces": self.faces}
        shared = _names(BaselineOptions)
        given = {key: value for key, value in values.items() if key in known | shared}
        chosen = {**dict.fromkeys(method.without, False), **method.values}
        given["network"] = method.networks.get(budget["network"], budget["network"])
        initial = self._initial(method.title, given["network"])
        options = kind.options_type(
            **given, **chosen, initial=initial, augmentation=self.augmentation
        )
        for need, switch in kind.needs.items():
            if switch not in method.without and getattr(options, need) is None:
                raise UserError(f"{method.title} needs --{need}; see `train fit {recipe} --help`.")
        return how, options

    def _initial(self, title: str, network: str) -> Path | None:
        """What a method with this network starts from; UserError where --initial has none for it,
        as methods from other starts are not to be compared."""
        if not self.initial:
            return None
        for run in self.initial:
            if RunFolder(run).config()["options"]["network"] == network:
                return run
        raise UserError(
            f"{title} has the network {network}, and no run of --initial has: add one "
            f"(`train fit pretrain --network {network}`), or leave {title} out of --methods."
        )

    def _finish(self, name: str, seed: int, data: PreparedFaces, deadline: float) -> bool:
        """Train and measure one run as far as that is not done yet; False where time is up."""
        (recipe, _), (how, options) = METHODS[name], self._options(name, seed)
        run = RunFolder(how.run)
        started, trained = run.last.exists(), self._trained(run, how.epochs)
        if started:
            run.start(configuration(recipe, how, options, data.classes), resume=True)
        if not trained:
            if time.monotonic() > deadline:
                return False
            if len(fit(recipe, how, options, data, started, deadline)) < how.epochs:
                return False
        for split in ("validation", self.split):
            if not self._measured(how.run, split):
                evaluate_run(how.run, data, split, self.device)
        return True

    def _precision(self) -> str:
        """One for all runs, on whatever machine they are made: else they could not be compared."""
        for config in sorted(self.output.glob("*/seed-*/config.json")):
            precision = RunFolder(config.parent).config()["fit"]["precision"]
            print(f"Precision {precision}, that of {config.parent}.")
            return precision
        precision, why = choose_precision(self.device)
        print(f"Precision {precision}: {why}.")
        return precision

    @staticmethod
    def _trained(run: RunFolder, epochs: int) -> bool:
        """Whether the log has all epochs; being measured says nothing, for anyone can measure a run
        that goes on."""
        try:
            return run.last.exists() and len(run.log()) >= epochs
        except UserError:
            return False

    @staticmethod
    def _measured(run: Path, split: str) -> bool:
        """Whether there are results, whole ones, of what is now the run's best epoch."""
        try:
            return read_result(run, split).checkpoint in (None, file_sha256(RunFolder(run).best))
        except UserError:
            return False

    def _compare(self, runs: list[Path]) -> str:
        methods = by_method([read_result(run, self.split) for run in runs])
        configs = {method.title: RunFolder(method.results[0].run).config() for method in methods}
        costs = {title: inference_cost(config) for title, config in configs.items()}
        table = write_comparison(methods, costs, self.split, self.output)
        return f"{table}\nWritten: {self.output}/table-{self.split}.md, .csv, .json"


def _names(options: type) -> set[str]:
    return {field.name for field in dataclasses.fields(options)}
