"""Accuracy on faces that are turned by known angles."""

import json
import shutil

import numpy as np
import pytest

from realtime.align import TEMPLATE
from tests.realtime.support.media import dots, middle
from train.__main__ import main
from train.data.prepared import read_prepared
from train.evaluation.turned import ANGLES, frontal, measure_turned, report, turned_faces


def test_only_faces_that_are_known_to_look_ahead_are_turned(tiny_data):
    data = read_prepared(tiny_data)
    chosen = frontal(data, "test")
    assert 0 < len(chosen) <= len(data.rows("test"))
    assert chosen.pose_trusted.all() and (np.abs(chosen.pose[:, 0]) < 10).all()
    assert set(chosen.split) == {"test"}


@pytest.mark.parametrize("channels", [1, 3])
def test_a_turned_face_is_aligned_anew(channels):
    faces = np.stack([dots(TEMPLATE[2:3])])[..., :channels]
    assert turned_faces(faces, 0) is faces
    left, right = (turned_faces(faces, degrees) for degrees in (-35, 35))
    assert left.shape == faces.shape and left.dtype == np.uint8
    nose = [middle(np.repeat(each[0][..., :1], 3, 2))[0] for each in (left, right)]
    assert nose[0] < TEMPLATE[2, 0] - 1 and nose[1] > TEMPLATE[2, 0] + 1


def test_runs_are_measured_at_every_angle(tiny_run, tiny_data, tmp_path):
    runs = tuple(tmp_path / name for name in ("one", "two"))
    for run in runs:
        shutil.copytree(tiny_run, run)
    data = read_prepared(tiny_data)

    result = measure_turned(runs, data, "test", "cpu")

    one, two = result["runs"].values()
    assert one == two and list(one) == [str(angle) for angle in ANGLES]
    assert one["0"]["accuracy"] > 0.9
    written = json.loads((runs[1] / "turned-test.json").read_text())
    assert written["angles"] == two and written["faces"] == result["faces"]
    assert "±35°" in report(result) and str(runs[0]) in report(result)


def test_the_command_says_what_is_missing(tiny_run, tiny_data, tmp_path, capsys):
    folder = tmp_path / "data"
    shutil.copytree(tiny_data, folder)
    labels = (folder / "labels.csv").read_text().splitlines()
    trusted = labels[0].split(",").index("pose_trusted")
    rows = [line.split(",") for line in labels[1:]]
    for row in rows:
        row[trusted] = "0"
    (folder / "labels.csv").write_text("\n".join([labels[0], *map(",".join, rows)]) + "\n")
    assert main(["turned", "--run", str(tiny_run), "--data", str(folder)]) == 1
    assert "known to be frontal" in capsys.readouterr().err
