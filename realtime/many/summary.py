"""``python -m realtime summary``: what a folder of files says, by video and by face."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tyro

from engine.contract import EngineError
from engine.output import check_writable, write
from realtime.faces import EXPRESSIONS
from realtime.many.table import ANGLES, about, read_table

SHOWN = 20
"""Rows of the printed table, at most."""


@dataclass(frozen=True)
class SummaryOptions:
    """Sum up a folder that `python -m realtime videos` filled, by video and by face.

    Prints a table of the videos; writes summary.csv with a row for each face, each video and all,
    and summary.png, a timeline and a heat map.
    """

    folder: tyro.conf.Positional[Path]
    """The folder of files."""
    csv: Path | None = None
    """File for all rows (FOLDER/summary.csv)."""
    figure: Path | None = None
    """Picture (FOLDER/summary.png; needs `pip install ".[measure]"`)."""


@dataclass(slots=True)
class Row:
    """Of one face, of one video (face None) or of all (video "" too).

    view: seconds in which the face, or any face of the video, is in view. seconds: of the video.
    shares: float (8,), of all sightings the share that shows each expression, by label. pose: mean
    yaw, pitch, roll in degrees. sightings: how many that is: faces times frames.
    """

    video: str
    face: int | None
    seconds: float = 0.0
    view: float = 0.0
    sightings: int = 0
    labels: np.ndarray = field(default_factory=lambda: np.zeros(len(EXPRESSIONS)))
    angles: np.ndarray = field(default_factory=lambda: np.zeros(3))

    @property
    def shares(self) -> np.ndarray:
        return self.labels / max(self.sightings, 1)

    @property
    def pose(self) -> np.ndarray:
        return self.angles / self.sightings if self.sightings else np.full(3, np.nan)

    def add(self, other: Row) -> None:
        self.seconds += other.seconds
        self.view += other.view
        self.sightings += other.sightings
        self.labels += other.labels
        self.angles += other.angles


def summary_command(arguments: list[str]) -> int:
    """Sum up a folder; returns the exit code."""
    options = tyro.cli(SummaryOptions, prog="python -m realtime summary", args=arguments)
    table = options.csv or options.folder / "summary.csv"
    figure = options.figure or options.folder / "summary.png"
    paths = files_in(options.folder)
    check_writable(table)
    check_writable(figure)
    try:
        from realtime.many.plot import Figure
    except ModuleNotFoundError:
        raise EngineError('The figure needs matplotlib: pip install ".[measure]"') from None
    drawn, videos, everything = Figure(), [], Row("", None)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for path in paths:
        video, faces, rows = summed(path)
        drawn.add(video, faces, rows)
        everything.add(video)
        videos.append(video)
        writer.writerows(_as_cells(row) for row in (video, *faces))
    writer.writerow(_as_cells(everything))
    write(table, text.getvalue().encode())
    write(figure, drawn.content(everything))
    print(printed(videos, everything))
    print(f"Written: {table} and {figure}")
    return 0


def files_in(folder: Path) -> list[Path]:
    """The files of a folder, by name. EngineError where there are none."""
    paths = sorted(path for path in folder.rglob("*.parquet") if path.is_file())
    if not paths:
        raise EngineError(
            f"{folder} holds no .parquet files: `python -m realtime videos` makes them."
        )
    return paths


@dataclass(frozen=True)
class Sightings:
    """The columns of one file that a figure needs: time, face (n,), and label as the number of its
    expression (n,). length: seconds of a frame."""

    time: np.ndarray
    face: np.ndarray
    label: np.ndarray
    length: float


def summed(path: Path) -> tuple[Row, list[Row], Sightings]:
    """A video, its faces by id, and what it was summed from. EngineError for another file."""
    told = about(path)
    if told is None:
        raise EngineError(
            f"{path} is no file of `python -m realtime videos`, or damaged: take it away, or run "
            "that again."
        )
    name = path.name.removesuffix(".parquet")
    columns = ["video", "frame", "time", "face", "label", *(f"pose.{angle}" for angle in ANGLES)]
    table = read_table(path, columns)
    if len(table):
        name = table["video"][0].as_py()
    # A mean frame: where frames are not equally long, this is right in the mean.
    length = told["seconds"] / max(told["frames"], 1)
    frame, time, face = (table[c].to_numpy() for c in ("frame", "time", "face"))
    label = np.array([EXPRESSIONS.index(one) for one in table["label"].to_pylist()], np.int64)
    angles = np.column_stack([table[f"pose.{angle}"].to_numpy() for angle in ANGLES])
    faces = []
    for id_ in np.unique(face).tolist():
        own = face == id_
        faces.append(_row(Row(name, id_), label[own], angles[own], length * int(own.sum())))
    video = _row(Row(name, None, told["seconds"]), label, angles, length * len(np.unique(frame)))
    return video, faces, Sightings(time, face, label, length)


def _row(row: Row, label: np.ndarray, angles: np.ndarray, view: float) -> Row:
    row.view, row.sightings = view, len(label)
    row.labels += np.bincount(label, minlength=len(EXPRESSIONS))
    row.angles += angles.sum(axis=0, dtype=np.float64)
    return row


COLUMNS = (
    *("video", "face", "seconds", "in_view", "sightings"),
    *(f"share.{name}" for name in EXPRESSIONS),
    *(f"pose.{angle}" for angle in ANGLES),
)


def _as_cells(row: Row) -> list:
    """A line of the CSV; what a row lacks stays empty."""
    seen = row.sightings > 0
    return [
        *(row.video, "" if row.face is None else row.face),
        "" if row.face is not None else round(row.seconds, 3),
        *(round(row.view, 3), row.sightings),
        *([round(float(share), 4) for share in row.shares] if seen else [""] * len(EXPRESSIONS)),
        *([round(float(angle), 1) for angle in row.pose] if seen else [""] * len(ANGLES)),
    ]


def printed(videos: list[Row], everything: Row) -> str:
    """The table: the videos in which faces are in view longest, then all."""
    longest = sorted(videos, key=lambda row: (-row.view, row.video))[:SHOWN]
    width = max([3, *(len(row.video) for row in longest)])
    width = min(width, 40)
    titles = f"{'video':<{width}} {'seconds':>9} {'in view':>9}  {'expressions':<44} "
    lines = [titles + f"{'yaw':>6} {'pitch':>6} {'roll':>6}"]
    lines += [_line(row, row.video, width) for row in sorted(longest, key=lambda row: row.video)]
    if more := len(videos) - len(longest):
        lines.append(f"… and {more} more, with faces in view for less long.")
    return "\n".join([*lines, _line(everything, "all", width)])


def _line(row: Row, name: str, width: int) -> str:
    if len(name) > width:
        name = "…" + name[1 - width :]
    text = f"{name:<{width}} {row.seconds:>9.1f} {row.view:>9.1f}"
    if not row.sightings:
        return text + "  no face"
    most = ", ".join(_most(row.shares))
    return text + f"  {most:<44} " + " ".join(f"{angle:>+5.0f}°" for angle in row.pose)


def _most(shares: np.ndarray) -> Iterator[str]:
    """The three largest shares, in words."""
    order: Iterable[int] = np.argsort(-shares, kind="stable")[:3].tolist()
    return (f"{EXPRESSIONS[one]} {shares[one]:.0%}" for one in order if shares[one] >= 0.005)
