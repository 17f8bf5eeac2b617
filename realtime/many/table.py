"""The file of one video: a Parquet table with a row a face, and in its metadata what made it.

Columns: video (its name), frame, time (seconds since the first frame), face (its id in this
video), score, box (x1, y1, x2, y2) and landmarks (five points x, y) in pixels, label, a probability
for each of ``expression.neutral`` …, and ``pose.yaw``, ``pose.pitch``, ``pose.roll`` in degrees.
A face that was read against a reference of its rest also has ``raw.neutral`` … (as the network gave
it, unsmoothed), ``intensity.neutral`` … (0 at rest to 1) and reference (its name); others have
nulls there. Numbers are rounded as in :class:`realtime.output.records.JsonlSink`, and stand as
there frame by frame, the largest face first. A frame without faces has no row; the metadata says
how many frames there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Any

from engine.contract import EngineError
from engine.output import writing
from realtime.faces import EXPRESSIONS, Face
from realtime.output.records import face_record, reference_values
from realtime.sources.frame import Frame

try:
    import pyarrow
    import pyarrow.parquet
except ModuleNotFoundError:
    raise EngineError('Parquet files need pyarrow: pip install ".[videos]"') from None

KEY = b"ipd_fer"
"""Under which the metadata of a file holds a JSON object, see :func:`about`."""

GROUP = 50_000
"""Rows that are written at once."""

ANGLES = ("yaw", "pitch", "roll")
PROBABILITIES = tuple(f"expression.{name}" for name in EXPRESSIONS)

_NUMBER = pyarrow.float32()
SCHEMA = pyarrow.schema(
    [
        ("video", pyarrow.string()),
        ("frame", pyarrow.int32()),
        ("time", pyarrow.float64()),
        ("face", pyarrow.int32()),
        ("score", _NUMBER),
        ("box", pyarrow.list_(_NUMBER, 4)),
        ("landmarks", pyarrow.list_(pyarrow.list_(_NUMBER, 2), 5)),
        ("label", pyarrow.string()),
        *((name, _NUMBER) for name in PROBABILITIES),
        *((f"pose.{angle}", _NUMBER) for angle in ANGLES),
        *((f"raw.{name}", _NUMBER) for name in EXPRESSIONS),
        *((f"intensity.{name}", _NUMBER) for name in EXPRESSIONS),
        ("reference", pyarrow.string()),
    ]
)


class FaceTable:
    """Adds rows to a file that :func:`new_table` opened.

    about: what its metadata will say, to be completed by whoever fills it.
    """

    def __init__(self, name: str, writer: pyarrow.parquet.ParquetWriter, about: dict[str, Any]):
        self.about = about
        self._name, self._writer = name, writer
        self._rows: list[tuple] = []

    def add(self, frame: Frame, faces: list[Face]) -> None:
        """The finished faces of the next frame."""
        for face in faces:
            self._rows.append(self._row(frame, face_record(face)))
        if len(self._rows) >= GROUP:
            self.flush()

    def add_table(self, table: pyarrow.Table) -> None:
        """Rows that are a table already, of :data:`SCHEMA`."""
        self.flush()
        if len(table):
            self._writer.write_table(table, GROUP)

    def flush(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [pyarrow.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
            self._rows = []
            self._writer.write_table(pyarrow.Table.from_arrays(arrays, schema=SCHEMA), GROUP)

    def _row(self, frame: Frame, record: dict) -> tuple:
        expression, pose = record["expression"], record["pose"]
        return (
            *(self._name, frame.index, round(frame.time, 6), record["id"], record["score"]),
            *(record["box"], record["landmarks"], expression["label"]),
            *expression["probabilities"].values(),
            *(pose[angle] for angle in ANGLES),
            *reference_values(record),
        )


@contextmanager
def new_table(path: Path, name: str, about: dict[str, Any]) -> Iterator[FaceTable]:
    """The table of the video `name`, which is at `path` once the block ends, all of it or nothing.

    EngineError where it cannot be written.
    """
    for left in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        left.unlink(missing_ok=True)  # of a process that was killed at it
    with writing(path) as temporary:
        writer = pyarrow.parquet.ParquetWriter(temporary, SCHEMA, compression="zstd")
        with writer:
            table = FaceTable(name, writer, about)
            yield table
            table.flush()
            writer.add_key_value_metadata({KEY: json.dumps(table.about, sort_keys=True)})


def about(path: Path) -> dict[str, Any] | None:
    """What the metadata of a file says of it: `model`, `version`, `options`, `source` and more, and
    of the video `frames`, `seconds` and `problem`; None where there is no whole file."""
    try:
        return json.loads(pyarrow.parquet.read_metadata(path).metadata[KEY])
    except (OSError, ValueError, TypeError, KeyError, pyarrow.ArrowException):
        return None


def is_made(path: Path, wanted: dict[str, Any]) -> bool:
    """Whether there is a whole file whose metadata says all of this."""
    known = about(path)
    return known is not None and all(known.get(key) == value for key, value in wanted.items())


def read_table(path: Path, columns: list[str] | None = None) -> pyarrow.Table:
    """The rows of a file, in the types of :data:`SCHEMA`."""
    return pyarrow.parquet.ParquetFile(path).read(columns)
