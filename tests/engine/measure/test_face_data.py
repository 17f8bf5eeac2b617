import cv2
import numpy as np
import pytest

from engine.contract import EngineError
from engine.measure.face_data import read_faces
from tests.engine.face_models import random_faces, write_prepared


@pytest.fixture
def prepared(tmp_path):
    splits = ["train"] * 6 + ["test"] * 4
    labels = ["happiness", "", "fear", "anger", "anger", "fear", *["disgust"] * 4]
    write_prepared(tmp_path / "prepared", random_faces(10, channels=1), labels, splits)
    return tmp_path / "prepared"


def test_prepared_data_by_split_as_rgb(prepared):
    data = read_faces(prepared, "train")
    np.testing.assert_array_equal(data.faces, random_faces(10, channels=1)[:6].repeat(3, axis=3))
    assert data.labels == ["happiness", "", "fear", "anger", "anger", "fear"]
    assert len(read_faces(prepared, "test").faces) == 4


def test_some_faces_are_the_same_every_time(prepared):
    first, second = read_faces(prepared, "train", 3), read_faces(prepared, "train", 3)
    assert len(first.faces) == 3
    np.testing.assert_array_equal(first.faces, second.faces)
    assert first.labels == second.labels


def test_a_folder_of_pictures(tmp_path):
    face = random_faces(1)[0]
    for name in ("b.png", "a.png"):
        cv2.imwrite(str(tmp_path / name), cv2.cvtColor(face, cv2.COLOR_RGB2BGR))
    (tmp_path / "notes.txt").write_text("not a picture")
    data = read_faces(tmp_path, "train")
    np.testing.assert_array_equal(data.faces, [face, face])
    assert data.labels is None


def test_what_cannot_be_read(tmp_path, prepared):
    with pytest.raises(EngineError, match="no folder .*missing"):
        read_faces(tmp_path / "missing", "train")
    with pytest.raises(EngineError, match="no faces in the split validation; it has test, train"):
        read_faces(prepared, "validation")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(EngineError, match="neither prepared data .* nor pictures"):
        read_faces(empty, "train")
    cv2.imwrite(str(empty / "small.png"), np.zeros((48, 40, 3), np.uint8))
    with pytest.raises(EngineError, match="small.png has 40×48 pixels: aligned faces have 112×112"):
        read_faces(empty, "train")
    (empty / "small.png").write_bytes(b"not a picture")
    with pytest.raises(EngineError, match="small.png is not a picture"):
        read_faces(empty, "train")
    (prepared / "labels.csv").write_text("id,split,label\n0,train,\n")
    with pytest.raises(EngineError, match="labels.csv and faces.npy do not fit"):
        read_faces(prepared, "train")
    (prepared / "faces.npy").write_bytes(b"not an array")
    with pytest.raises(EngineError, match="cannot be read .*: prepare it again"):
        read_faces(prepared, "train")
