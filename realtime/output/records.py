"""Records of what was seen, one line a frame (JSONL) or a face (CSV). All are context managers.

Whatever ends the program, even kill -9 or a full disk, what was written before stays readable.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path

from realtime.faces import EXPRESSIONS, LANDMARKS, Face
from realtime.output.files import LineFile
from realtime.sources.frame import Frame


class JsonlSink:
    """Writes one JSON object a line, one line a frame; a frame without faces has an empty list.

    Pixels are rounded to 2 decimals, probabilities to 4, degrees to 1, seconds to 6. `id`,
    `expression` and `pose` are null where the face has none. `label` is the expression shown, which
    is held while another leads by little: its probability is the one under its name, not always the
    largest. Raises :class:`SinkError`.
    """

    def __init__(self, path: str | Path):
        self._file = LineFile(path)

    def write(self, frame: Frame, faces: list[Face]) -> None:
        line = {
            "frame": frame.index,
            "time": round(frame.time, 6),
            "faces": [face_record(face) for face in faces],
        }
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> JsonlSink:
        return self

    def __exit__(self, *exception) -> None:
        self.close()


def face_record(face: Face) -> dict:
    """What :class:`JsonlSink` writes of one face, ready for JSON."""
    expression = pose = None
    if face.expression is not None:
        values = _rounded(face.expression, 4)
        expression = {
            "label": face.label,
            "probabilities": dict(zip(EXPRESSIONS, values, strict=True)),
        }
    if face.pose is not None:
        angles = (face.pose.yaw, face.pose.pitch, face.pose.roll)
        pose = dict(zip(("yaw", "pitch", "roll"), _rounded(angles, 1), strict=True))
    return {
        "id": face.track_id,
        "box": _rounded(face.box, 2),
        "score": round(float(face.score), 4),
        "landmarks": [_rounded(point, 2) for point in face.landmarks],
        "expression": expression,
        "pose": pose,
    }


class CsvSink:
    """Writes one row a face under a header line, rounded as in :class:`JsonlSink`.

    Columns: frame, time, id, x1, y1, x2, y2, score, two for each landmark (left_eye_x, …), label,
    one for each expression, yaw, pitch, roll. What a face lacks stays empty; a frame without
    faces has no row. Raises :class:`SinkError`.
    """

    COLUMNS = (
        *("frame", "time", "id", "x1", "y1", "x2", "y2", "score"),
        *(f"{name.replace(' ', '_')}_{axis}" for name in LANDMARKS for axis in "xy"),
        *("label", *EXPRESSIONS, "yaw", "pitch", "roll"),
    )

    def __init__(self, path: str | Path):
        self._file = LineFile(path)
        try:
            self._write_rows([self.COLUMNS])
        except BaseException:
            self.close()
            raise

    def write(self, frame: Frame, faces: list[Face]) -> None:
        if faces:
            self._write_rows([_as_row(frame, face) for face in faces])

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> CsvSink:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _write_rows(self, rows) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._file.write(text.getvalue())


def _as_row(frame: Frame, face: Face) -> list:
    record = face_record(face)
    expression, pose = record["expression"], record["pose"]
    return [
        *(frame.index, round(frame.time, 6), record["id"], *record["box"], record["score"]),
        *(value for point in record["landmarks"] for value in point),
        expression and expression["label"],
        *(expression["probabilities"].values() if expression else [None] * len(EXPRESSIONS)),
        *(pose.values() if pose else [None] * 3),
    ]


def _rounded(values: Iterable[float], digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]
