"""``python -m train``: prepare, fit, evaluate, calibrate, judge, visualize, reproduce, export."""

from __future__ import annotations

import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

import tyro
from tyro.conf import OmitArgPrefixes

from train.calibrate import calibrate_run
from train.calibrate import report as calibration_report
from train.data.prepared import DataError, read_prepared
from train.decision import CALIBRATION_FILE, Prior
from train.evaluate import evaluate_run, report, result_name
from train.export import export_run
from train.judge import Judge
from train.loop import UNFINISHED, FitOptions, fit
from train.mtcnn import export_mtcnn
from train.prepare import PREPARE
from train.recipes import RECIPES
from train.reference import serve_standard_streams
from train.reproduce import Reproduce
from train.robustness import measure_robustness
from train.robustness import report as robustness_report
from train.visualize_command import VISUALIZE

MODELS = Path("engine/models")


Options = TypeVar("Options")


@dataclass(frozen=True)
class Fit(Generic[Options]):
    """Train, keep a checkpoint every epoch, choose the best epoch on validation."""

    fit: FitOptions
    options: Options
    resume: bool = False
    """Go on after the last finished epoch of --run."""
    minutes: float = math.inf
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


@dataclass(frozen=True)
class Evaluate:
    """Measure the best epoch of a run on one split. Choose on validation; read test once."""

    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run folder."""
    data: Path = Path("data/ferplus")
    """Folder that `prepare` wrote."""
    split: Literal["train", "validation", "test"] = "validation"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    prior: Prior = "data"
    """data: the decision as trained. balanced: corrected for frequent classes (`calibrate`)."""

    def run(self) -> None:
        data = read_prepared(self.data)
        print(report(evaluate_run(self.run_folder, data, self.split, self.device, self.prior)))
        name = result_name(self.split, self.prior)
        print(f"\nWritten: {self.run_folder}/evaluation-{name}.json, confusion-{name}.png")


@dataclass(frozen=True)
class Calibrate:
    """Choose temperature and prior strength on validation; `export` folds them into the model."""

    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run folder."""
    data: Path = Path("data/ferplus")
    """Folder that `prepare` wrote."""
    max_loss: float = 1.0
    """Points of accuracy that the balanced decision may lose at most."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def run(self) -> None:
        data = read_prepared(self.data)
        print(calibration_report(calibrate_run(self.run_folder, data, self.max_loss, self.device)))
        print(f"\nWritten: {self.run_folder / CALIBRATION_FILE}")


@dataclass(frozen=True)
class Robustness:
    """Measure what shift, rotation, blur, JPEG, gamma and occlusion cost a run."""

    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run folder."""
    data: Path = Path("data/ferplus")
    """Folder that `prepare` wrote."""
    split: Literal["train", "validation", "test"] = "validation"
    prior: Prior = "data"
    """data: the decision as trained. balanced: corrected for frequent classes (`calibrate`)."""
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def run(self) -> None:
        data = read_prepared(self.data)
        result = measure_robustness(
            self.run_folder, data, self.split, self.prior, self.seed, self.device
        )
        print(robustness_report(result))
        name = result_name(self.split, self.prior)
        print(f"\nWritten: {self.run_folder}/robustness-{name}.json")


@dataclass(frozen=True)
class ExportFace:
    """The best epoch of a run as the ONNX file that the application runs."""

    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run folder."""
    output: Path = MODELS / "ipd_fer.onnx"
    prior: Prior | None = None
    """The decision folded into the file: data as trained, balanced corrected for frequent classes.
    By default balanced where `calibrate` has run, data where not."""

    def run(self) -> None:
        export_run(self.run_folder, self.output, self.prior)


@dataclass(frozen=True)
class ExportMtcnn:
    """The three MTCNN networks of facenet-pytorch as ONNX files."""

    output: Path = MODELS
    """Folder to write to."""

    def run(self) -> None:
        for path in export_mtcnn(self.output):
            print(path)


@dataclass(frozen=True)
class ServeReference:
    """The PyTorch side of `python -m realtime bench --reference`, which starts it by itself."""

    network: str
    pose_network: str
    min_face: int = 40

    def run(self) -> None:
        serve_standard_streams(self.network, self.pose_network, self.min_face)


COMMANDS = {
    "prepare": PREPARE,
    "fit": {name: Fit[recipe.options_type] for name, recipe in RECIPES.items()},
    "evaluate": Evaluate,
    "calibrate": Calibrate,
    "robustness": Robustness,
    "judge": Judge,
    "visualize": VISUALIZE,
    "reproduce": {"ferplus": Reproduce},
    "export": {"face": ExportFace, "mtcnn": ExportMtcnn},
    "reference": ServeReference,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    rest = list(sys.argv[1:] if arguments is None else arguments)
    command, words = COMMANDS, ["python -m train"]
    while isinstance(command, dict):
        word = rest.pop(0) if rest else ""
        if word not in command:
            asked = word in ("-h", "--help")
            usage = f"usage: {' '.join(words)} {{{','.join(command)}}} …"
            print(usage, file=sys.stdout if asked else sys.stderr)
            return 0 if asked else 2
        command = command[word]
        words.append(word)
    try:
        return tyro.cli(OmitArgPrefixes[command], prog=" ".join(words), args=rest).run() or 0
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or 'The disk'}: {os.strerror(error.errno)}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; --resume goes on after the last finished epoch.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
