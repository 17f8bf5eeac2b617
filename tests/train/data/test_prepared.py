from pathlib import Path

import numpy as np

from realtime.faces import EXPRESSIONS
from train.data.prepared import read_labelled, read_prepared, write_prepared

EARLIER = Path(__file__).parents[2] / "data" / "earlier" / "prepared"


def test_data_prepared_before_are_read():
    data = read_prepared(EARLIER)
    assert data.faces.shape == (16, 112, 112, 1) and data.classes == EXPRESSIONS
    assert [len(data.rows(split)) for split in ("train", "validation", "test")] == [8, 4, 4]
    assert (data.votes.argmax(axis=1) == data.label).all() and np.isfinite(data.pose).all()


def test_what_is_read_is_written_again_byte_by_byte(tmp_path):
    data = read_prepared(EARLIER)
    rows = read_labelled(EARLIER, data)
    write_prepared(tmp_path, "made up", data.classes, "made up", rows, len(data), channels=1)
    for name in ("labels.csv", "faces.npy", "prepared.json"):
        assert (tmp_path / name).read_bytes() == (EARLIER / name).read_bytes(), name
