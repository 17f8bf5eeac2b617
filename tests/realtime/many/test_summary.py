"""What a folder of files says, against numbers worked out by hand."""

import csv

import cv2
import numpy as np
import pyarrow
import pytest

from realtime.__main__ import main
from realtime.many.table import SCHEMA, new_table


def write(folder, name, rows, frames=10, seconds=2.0):
    """rows: frame, face, label, yaw."""
    columns = {field.name: [] for field in SCHEMA}
    for frame, face, label, yaw in rows:
        row = {"video": name, "frame": frame, "time": frame * seconds / frames, "face": face}
        row |= {"label": label, "pose.yaw": yaw, "pose.pitch": 1.0, "pose.roll": -1.0, "score": 1.0}
        row |= {"box": [0, 0, 9, 9], "landmarks": [[0, 0]] * 5}
        for key in columns:
            columns[key].append(row.get(key, None if key == "reference" else 0.0))
    about = {"frames": frames, "seconds": seconds, "problem": None}
    with new_table(folder / f"{name}.parquet", name, about) as table:
        table.add_table(pyarrow.table(columns, SCHEMA))


@pytest.fixture
def folder(tmp_path):
    first = [(frame, 0, "happiness", 10.0) for frame in range(6)]
    first += [(frame, 1, "neutral", -10.0) for frame in range(4, 8)]
    write(tmp_path, "a.mp4", sorted(first))
    write(tmp_path, "deep/b.mp4", [(frame, 0, "anger", 4.0) for frame in range(10)], seconds=5.0)
    write(tmp_path, "empty.mp4", [], seconds=3.0)
    return tmp_path


def rows(folder) -> dict:
    with open(folder / "summary.csv", newline="") as file:
        return {(row["video"], row["face"]): row for row in csv.DictReader(file)}


def test_shares_pose_and_seconds_by_video_and_by_face(folder, capsys):
    assert main(["summary", str(folder)]) == 0

    found = rows(folder)
    assert len(found) == 3 + 3 + 1
    face = found["a.mp4", "1"]
    assert (float(face["in_view"]), face["share.neutral"], face["pose.yaw"]) == (
        0.8,
        "1.0",
        "-10.0",
    )
    video = found["a.mp4", ""]
    # 8 of 10 frames show a face; of 10 sightings 6 are happy.
    assert (float(video["seconds"]), float(video["in_view"])) == (2.0, 1.6)
    assert (video["share.happiness"], video["share.neutral"], video["pose.yaw"]) == (
        *("0.6", "0.4"),
        "2.0",
    )
    assert (found["empty.mp4", ""]["in_view"], found["empty.mp4", ""]["pose.yaw"]) == ("0.0", "")
    everything = found["", ""]
    assert (float(everything["seconds"]), float(everything["in_view"])) == (10.0, 6.6)
    assert (everything["share.anger"], everything["pose.yaw"]) == ("0.5", "3.0")
    printed = capsys.readouterr().out
    assert "happiness 60%, neutral 40%" in printed and "no face" in printed


def test_the_figure_shows_who_is_in_view_when(folder):
    from realtime.many.plot import CELLS, Figure
    from realtime.many.summary import files_in, summed

    drawn = Figure()
    for path in files_in(folder):
        drawn.add(*summed(path))
    lines = {(row.video, row.face): cells for row, _, cells in drawn._faces}
    happy = lines["a.mp4", 0]
    assert (np.flatnonzero(happy == 1) < 0.65 * CELLS).all() and (
        happy[: int(0.6 * CELLS)] == 1
    ).all()
    assert set(lines["a.mp4", 1][: int(0.4 * CELLS)]) == {-1}
    assert main(["summary", str(folder)]) == 0
    assert cv2.imread(str(folder / "summary.png")).std() > 10


def test_folders_that_cannot_be_summed_up(folder, tmp_path, capsys):
    (folder / "other.parquet").write_bytes(b"PAR1")
    assert main(["summary", str(folder)]) == 1
    assert "other.parquet is no file of" in capsys.readouterr().err
    (tmp_path / "none").mkdir()
    assert main(["summary", str(tmp_path / "none")]) == 1
    assert "holds no .parquet files" in capsys.readouterr().err
