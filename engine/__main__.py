"""The engine's command line: ``python -m engine info`` and ``python -m engine bench``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Union

import tyro

from engine import benchmark, registry
from engine.registry import ModelEntry
from engine.session import EngineError, open_session


@dataclass(frozen=True)
class Info:
    """Shows every shipped model: hash, inputs, outputs, labels, size and how it was made."""

    def run(self) -> int:
        entries = registry.entries()
        if not entries:
            raise EngineError(f"There are no models in {registry.MODELS}: reinstall the package.")
        failures = [error for name, entry in entries.items() if (error := _show(name, entry))]
        for error in failures:
            print(error, file=sys.stderr)
        return 1 if failures else 0


@dataclass(frozen=True)
class Bench:
    """Times a model at batch sizes 1, 2, 4, 8 and 16, which take turns."""

    model: str = "ipd_fer"
    """Name of a shipped model, or an ONNX file."""
    json: Path | None = None
    """Also write the timings to this file."""
    backend: str = "auto"
    """auto or onnxruntime."""
    device: str = "auto"
    """auto, cpu or cuda."""
    threads: int | None = None
    """CPU threads inside one run; one per core where not given."""
    repeats: int = 100
    """Rounds that count, after a tenth as many to warm up."""

    def run(self) -> int:
        if self.repeats < 1:
            raise EngineError(f"{self.repeats} repeats measure nothing: use 1 or more.")
        if self.json is not None:
            benchmark.check_writable(self.json)
        with open_session(self.model, self.backend, self.device, self.threads) as session:
            print(f"{session.path.name} ({session.sha256[:12]}): {session.description}")
            timings = benchmark.measure(session, repeats=self.repeats)
            print(benchmark.table(timings))
            if self.json is not None:
                benchmark.write_json(self.json, session, self.repeats, timings)
        return 0


Command = Union[
    Annotated[Info, tyro.conf.subcommand("info")],
    Annotated[Bench, tyro.conf.subcommand("bench")],
]


def main() -> int:
    """Runs one command; 0, or 1 after one line on stderr that says what to do."""
    command = tyro.cli(Command, prog="python -m engine", description=__doc__)
    try:
        return command.run()
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1


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
        with open_session(registry.MODELS / entry.file, device="cpu") as session:
            fields["inputs"] = "; ".join(str(info) for info in session.inputs)
            fields["outputs"] = "; ".join(str(info) for info in session.outputs)
    except EngineError as caught:
        fields["broken"] = str(caught)
        error = caught
    for field, text in fields.items():
        if text:
            print(f"  {field:<8} {text}")
    print()
    return error


if __name__ == "__main__":
    sys.exit(main())
