"""Records of what was seen, one line a frame (JSONL) or a face (CSV). All are context managers.

Whatever ends the program, even kill -9 or a full disk, what was written before stays readable.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from realtime.faces import EXPRESSIONS, LANDMARKS, Face
from realtime.output.files import LineFile
from realtime.sources.frame import Frame


class JsonlSink:
    """Writes one JSON object a line, one line a frame; a frame without faces has an empty list.

    Pixels are rounded to 2 decimals, probabilities to 4, degrees to 1, seconds to 6. `id`,
    `expression` and `pose` are null where the face has none. `label` is the expression shown, which
    is held while another leads by little: its probability is the one under its name, not always the
    largest. A face that was read against a reference of its rest also has `raw` (probabilities as
    the network gave them, unsmoothed), `intensity` (0 at rest to 1; smoothed) and `reference` (its
    name); others lack these. A line of several sources begins with `source`, its name. Raises
    :class:`SinkError`.
    """

    def __init__(self, path: str | Path):
        self._file = LineFile(path)

    def write(self, frame: Frame, faces: list[Face], source: str | None = None) -> None:
        """source: which of several it is, None where there is but one."""
        named = {} if source is None else {"source": source}
        line = named | frame_record(frame.index, frame.time, faces)
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> JsonlSink:
        return self

    def __exit__(self, *exception) -> None:
        self.close()


def frame_record(index: int, time: float, faces: Iterable[Face]) -> dict:
    """What :class:`JsonlSink` writes of one frame, ready for JSON."""
    return {
        "frame": index,
        "time": round(time, 6),
        "faces": [face_record(face) for face in faces],
    }


def face_record(face: Face) -> dict:
    """What :class:`JsonlSink` writes of one face, ready for JSON."""
    expression = pose = None
    if face.expression is not None:
        expression = {"label": face.label, "probabilities": _by_name(face.expression)}
    if face.pose is not None:
        angles = (face.pose.yaw, face.pose.pitch, face.pose.roll)
        pose = dict(zip(("yaw", "pitch", "roll"), _rounded(angles, 1), strict=True))
    record: dict = {
        "id": face.track_id,
        "box": _rounded(face.box, 2),
        "score": round(float(face.score), 4),
        "landmarks": [_rounded(point, 2) for point in face.landmarks],
        "expression": expression,
        "pose": pose,
    }
    if face.raw is not None and face.intensity is not None:
        record["raw"] = _by_name(face.raw)
        record["intensity"] = _by_name(face.intensity)
        record["reference"] = face.reference
    return record


class CsvSink:
    """Writes one row a face under a header line, rounded as in :class:`JsonlSink`.

    Columns: frame, time, id, x1, y1, x2, y2, score, two for each landmark (left_eye_x, …), label,
    one for each expression, yaw, pitch, roll. What a face lacks stays empty; a frame without
    faces has no row. Raises :class:`SinkError`.

    references: have the columns of REFERENCE_COLUMNS too (raw_neutral, …, intensity_neutral, …,
    reference) for faces that are read against a reference of their rest. Without it a file gets
    them when the first such face comes, empty in the rows before; a pipe goes on without.

    sources: begin each row with a column `source`, the name of one of several.
    """

    COLUMNS = (
        *("frame", "time", "id", "x1", "y1", "x2", "y2", "score"),
        *(f"{name.replace(' ', '_')}_{axis}" for name in LANDMARKS for axis in "xy"),
        *("label", *EXPRESSIONS, "yaw", "pitch", "roll"),
    )
    REFERENCE_COLUMNS = (
        *(f"raw_{name}" for name in EXPRESSIONS),
        *(f"intensity_{name}" for name in EXPRESSIONS),
        "reference",
    )

    def __init__(self, path: str | Path, references: bool = False, sources: bool = False):
        self._file = LineFile(path)
        self._wide, self._widens, self._named = references, not references, sources
        try:
            columns = self.COLUMNS + (self.REFERENCE_COLUMNS if references else ())
            self._write_rows([("source", *columns) if sources else columns])
        except BaseException:
            self.close()
            raise

    def write(self, frame: Frame, faces: list[Face], source: str | None = None) -> None:
        """source: which of several it is."""
        if self._widens and any(face.raw is not None for face in faces):
            self._widen()
        if faces:
            named = [source] if self._named else []
            rows = (face_row(frame.index, frame.time, face, self._wide) for face in faces)
            self._write_rows([named + row for row in rows])

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> CsvSink:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _widen(self) -> None:
        """Give the rows of before the further columns, empty."""
        names = ",".join(("", *self.REFERENCE_COLUMNS))
        self._wide = self._file.extend_lines(names, "," * len(self.REFERENCE_COLUMNS))
        self._widens = False

    def _write_rows(self, rows) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._file.write(text.getvalue())


def face_row(index: int, time: float, face: Face, references: bool) -> list:
    """What :class:`CsvSink` writes of one face of a frame, under its COLUMNS; with `references`
    under its REFERENCE_COLUMNS too. None for what the face lacks."""
    record = face_record(face)
    expression, pose = record["expression"], record["pose"]
    return [
        *(index, round(time, 6), record["id"], *record["box"], record["score"]),
        *(value for point in record["landmarks"] for value in point),
        expression and expression["label"],
        *(expression["probabilities"].values() if expression else [None] * len(EXPRESSIONS)),
        *(pose.values() if pose else [None] * 3),
        *(reference_values(record) if references else ()),
    ]


def reference_values(record: dict) -> list:
    """Those of :data:`CsvSink.REFERENCE_COLUMNS` of a record of :func:`face_record`; None for a
    face that was read against no reference."""
    if "raw" not in record:
        return [None] * len(CsvSink.REFERENCE_COLUMNS)
    return [*record["raw"].values(), *record["intensity"].values(), record["reference"]]


def _by_name(values: np.ndarray) -> dict[str, float]:
    return dict(zip(EXPRESSIONS, _rounded(values, 4), strict=True))


def _rounded(values: Iterable[float], digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]
