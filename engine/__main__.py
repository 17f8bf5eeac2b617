"""The engine's command line: ``python -m engine info | bench | check | build | quantize``."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from engine import output, registry
from engine.backends import BACKENDS, INT8_FLAVOURS
from engine.choice import every_choice, left_out_lines
from engine.contract import EngineError
from engine.measure import bench_report, benchmark, check
from engine.measure.face_data import read_faces
from engine.measure.reference import TorchReference
from engine.model_file import ModelFile
from engine.registry import ModelEntry
from engine.session import open_session

if TYPE_CHECKING:
    FlavourName = str
else:
    FlavourName = Literal[tuple(INT8_FLAVOURS)]

BackendOption = Annotated[str, tyro.conf.arg(help=f"auto for all, or {', '.join(BACKENDS)}.")]

_written = (f"{name} writes MODEL{flavour.suffix}" for name, flavour in INT8_FLAVOURS.items())
FlavourOption = Annotated[FlavourName, tyro.conf.arg(help=f"{', '.join(_written)}.")]


@dataclass(frozen=True)
class Info:
    """Shows every shipped model: hash, inputs, outputs, labels, size and how it was made."""

    def run(self) -> int:
        entries = registry.entries()
        if not entries:
            raise registry.no_models()
        failures = [error for name, entry in entries.items() if (error := _show(name, entry))]
        for error in failures:
            print(error, file=sys.stderr)
        return 1 if failures else 0


@dataclass(frozen=True)
class Bench:
    """Times a model in every way that this machine can run it, in turn, for 1 to 32 faces."""

    model: str = "ipd_fer"
    """Name of a shipped model, or an ONNX file."""
    backend: BackendOption = "auto"
    device: str = "auto"
    """auto for all, or cpu, cuda."""
    precision: str = "auto"
    """auto for all, or fp32, fp16, bf16, int8."""
    threads: int | None = None
    """CPU threads inside one run; one per core where not given."""
    repeats: int = 100
    """Rounds that count, after a tenth as many to warm up."""
    reference: bool = False
    """Time the same networks in eager PyTorch too (needs `pip install ".[train]"`)."""
    json: Path | None = None
    """Also write the timings, and what they were measured on, to this file."""
    csv: Path | None = None
    """Also write the timings to this file."""
    plot: Path | None = None
    """Also draw faces a second over the number of faces (needs `pip install matplotlib`)."""

    def run(self) -> int:
        if self.repeats < 1:
            raise EngineError(f"{self.repeats} repeats measure nothing: use 1 or more.")
        for path in filter(None, (self.json, self.csv, self.plot)):
            output.check_writable(path)
        model = registry.read(registry.find(self.model))
        with ExitStack() as stack:
            runners, ways = self._open(model, stack)
            timings = benchmark.measure(
                runners, benchmark.random_inputs(model.inputs), self.repeats
            )
        print(bench_report.table(timings))
        self._write(model, ways, timings)
        return 0

    def _open(self, model: ModelFile, stack: ExitStack) -> tuple[dict, dict[str, str]]:
        """Way → runner, and way → description; prints both, and what is left out."""
        runners, ways, left_out = {}, {}, {}
        for way in every_choice(model, self.backend, self.device, self.precision):
            options = (way.backend, way.device, way.precision, self.threads)
            try:
                session = stack.enter_context(open_session(model.path, *options))
            except EngineError as error:
                left_out[way] = error
                continue
            runners[str(way)] = benchmark.session_runner(session)
            ways[str(way)] = session.description
        if not runners:
            raise EngineError(" ".join(dict.fromkeys(map(str, left_out.values()))))
        if self.reference:
            torch = stack.enter_context(TorchReference(model))
            runners["PyTorch eager"] = lambda arrays: torch.time(*arrays.values())[0]
            ways["PyTorch eager"] = torch.what
        lines = [f"  {way}: {about}" for way, about in ways.items()]
        heading = f"{model.path.name} ({model.sha256[:12]})"
        print(heading, *lines, *left_out_lines(left_out), sep="\n")
        return runners, ways

    def _write(self, model: ModelFile, ways: dict[str, str], timings: list) -> None:
        if self.json is not None:
            about = bench_report.about(model.path, model.sha256, ways, self.repeats)
            bench_report.write_json(self.json, about, timings)
        if self.csv is not None:
            bench_report.write_csv(self.csv, timings)
        if self.plot is not None:
            bench_report.write_plot(self.plot, model.path.name, timings)


@dataclass(frozen=True)
class Check:
    """Compares every way to run a model with ONNX Runtime in fp32 on real faces; exit code 1 where
    a precision does not keep its promise."""

    faces: Path
    """Prepared data, or a folder of aligned faces of 112×112 pixels; at least 1000."""
    model: str | None = None
    """Name of a shipped fp32 model, or an ONNX file; every shipped network where not given."""
    split: Literal["train", "validation", "test"] = "test"
    """Which part of prepared data."""
    count: int | None = None
    """At most how many faces; all where not given."""
    backend: BackendOption = "auto"
    device: str = "auto"
    """auto for all, or cpu, cuda."""
    precision: str = "auto"
    """auto for all, or fp32, fp16, bf16, int8."""
    threads: int | None = None
    """CPU threads inside one run; one per core where not given."""
    json: Path | None = None
    """Also write the comparison to this file."""

    def run(self) -> int:
        if self.json is not None:
            output.check_writable(self.json)
        data = read_faces(self.faces, self.split, self.count)
        options = (self.backend, self.device, self.precision, self.threads)
        if self.model is None:
            reports, left_out = check.check_every(data, *options)
        else:
            reports, left_out = [check.check(self.model, data, *options)], []
        print("\n\n".join(map(check.table, reports)), *left_out, sep="\n")
        if self.json is not None:
            check.write_json(self.json, *reports)
        return 0 if all(report.kept for report in reports) else 1


@dataclass(frozen=True)
class Quantize:
    """Makes the INT8 flavour of a face model, calibrated on real faces, and lists it."""

    faces: Path
    """Prepared data, of which the training split is used, or a folder of aligned faces."""
    model: str = "ipd_fer"
    """Name of a shipped fp32 model, or an ONNX file; the result lies beside it."""
    flavour: FlavourOption = "cpu"
    count: int = 512
    """How many faces to calibrate on."""

    def run(self) -> int:
        try:
            from engine.quantize import quantize
        except ModuleNotFoundError as error:
            raise EngineError(
                f'Quantising needs the package {error.name}: `pip install ".[quantize]"`.'
            ) from error
        entry = quantize(self.model, self.faces, self.flavour, self.count)
        print(f"Written: {entry.file}, {entry.size / 1024:,.0f} KiB, sha256 {entry.sha256[:12]}")
        return 0


@dataclass(frozen=True)
class Register:
    """Writes the entry of a model file in the models.json beside it."""

    file: Annotated[Path, tyro.conf.Positional]
    made_by: str
    """The command that makes the file."""
    source: str
    """Whose weights or data these are."""
    licence: str
    notes: str = ""
    labels: str | None = None
    """Class names as a JSON list; those in the file's metadata where not given."""

    def run(self) -> int:
        try:
            labels = None if self.labels is None else json.loads(self.labels)
        except ValueError as error:
            raise EngineError(f"--labels is no JSON list ({error}): quote each name.") from error
        registry.register(
            self.file,
            made_by=self.made_by,
            source=self.source,
            licence=self.licence,
            notes=self.notes,
            labels=labels,
        )
        return 0


@dataclass(frozen=True)
class Build:
    """Builds the TensorRT plans that "auto" then takes; without a GPU, ones that any RTX GPU can
    run."""

    model: str | None = None
    """Name of a shipped model, or an ONNX file; every shipped network where not given."""
    precision: str = "fp16"
    """fp32, fp16 or int8."""
    output: Path | None = None
    """Also copy the plan of the one model to this file."""

    def run(self) -> int:
        # Needs packages that the other commands do without.
        from engine.backends.tensorrt import command

        command.run(self.model, self.precision, self.output)
        return 0


Command = (
    Annotated[Info, tyro.conf.subcommand("info")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
    | Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[Build, tyro.conf.subcommand("build")]
    | Annotated[Quantize, tyro.conf.subcommand("quantize")]
    | Annotated[Register, tyro.conf.subcommand("register")]
)


def main() -> int:
    """Runs one command; 0, 1 after one line on stderr that says what to do, 130 when stopped."""
    command = tyro.cli(Command, prog="python -m engine", description=__doc__)
    try:
        return command.run()
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _show(name: str, entry: ModelEntry) -> EngineError | None:
    """Prints one model; returns what is wrong with its file, if anything."""
    print(name)
    fields = {
        "file": f"{entry.file}, {entry.size / 1024:,.0f} KiB",
        "sha256": entry.sha256,
        "labels": ", ".join(entry.labels),
        "made by": entry.made_by,
        "source": entry.source,
        "licence": entry.licence,
        "notes": entry.notes,
    }
    error = None
    try:
        model = registry.read(registry.MODELS / entry.file)
        fields["precision"] = model.precision
        with open_session(model.path, "onnxruntime", "cpu", model.precision) as session:
            fields["inputs"] = "; ".join(str(info) for info in session.inputs)
            fields["outputs"] = "; ".join(str(info) for info in session.outputs)
    except EngineError as caught:
        fields["broken"] = str(caught)
        error = caught
    for field, text in fields.items():
        if text:
            print(f"  {field:<9} {text}")
    print()
    return error


if __name__ == "__main__":
    sys.exit(output.printing(main))
