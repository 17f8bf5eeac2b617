"""The timings of :mod:`engine.measure.benchmark` as a table, JSON, CSV and a plot."""

from __future__ import annotations

import csv
import io
import json
import platform
from dataclasses import asdict, astuple, fields
from pathlib import Path

from engine import output, processors
from engine.contract import EngineError
from engine.measure.benchmark import Timing


def table(timings: list[Timing]) -> str:
    """The timings as text, one line for each way and batch size."""
    lines = [f"{'':<26} {'batch':>5}  {'median ms':>9}  {'p95 ms':>9}  {'images/s':>9}"]
    for t in timings:
        times = f"{t.median_ms:>9.2f}  {t.p95_ms:>9.2f}  {t.images_per_second:>9.1f}"
        lines.append(f"{t.way:<26} {t.batch:>5}  {times}")
    return "\n".join(lines)


def about(path: Path, sha256: str, ways: dict[str, str], repeats: int) -> dict:
    """What was measured, on what machine. ways: name → description."""
    return {
        "model": path.name,
        "sha256": sha256,
        "ways": ways,
        "processor": platform.processor() or platform.machine(),
        "cpu_count": processors.usable(),
        "repeats": repeats,
    }


def write_json(path: Path, about: dict, timings: list[Timing]) -> None:
    """The timings with what they were measured on; all of the file or nothing.

    EngineError where the file cannot be written.
    """
    content = {**about, "timings": [asdict(timing) for timing in timings]}
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    output.write(path, text.encode("utf-8"))


def write_csv(path: Path, timings: list[Timing]) -> None:
    """One row for each timing; all of the file or nothing. EngineError where it cannot be."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([field.name for field in fields(Timing)])
    writer.writerows(astuple(timing) for timing in timings)
    output.write(path, text.getvalue().encode("utf-8"))


def write_plot(path: Path, title: str, timings: list[Timing]) -> None:
    """Images per second over the batch size, a line for each way. EngineError where matplotlib is
    not installed or the file cannot be written."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise EngineError("No plot without matplotlib: `pip install matplotlib`.") from error
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="faces in one call", ylabel="faces a second", title=title)
    for way in dict.fromkeys(timing.way for timing in timings):
        points = [(t.batch, t.images_per_second) for t in timings if t.way == way]
        axes.plot(*zip(*points, strict=True), marker="o", label=way)
    axes.set_xscale("log", base=2)
    batches = sorted({timing.batch for timing in timings})
    axes.set_xticks(batches, [str(batch) for batch in batches])
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix.lstrip(".") or "png", dpi=150)
    output.write(path, picture.getvalue())
