import zipfile

import pytest

from tests.train.made_up import save_picture
from train.__main__ import main
from train.data.prepared import read_prepared
from train.datasets.people import list_people
from train.errors import UserError


@pytest.fixture
def source(tmp_path):
    for place, name in enumerate(("s1", "s10", "s2", "happy")):
        for index in range(10):
            save_picture(tmp_path / "people" / name / f"{index}.png", 10 * place + index)
    (tmp_path / "people" / "empty").mkdir()
    (tmp_path / "people" / "s1" / "notes.txt").write_text("no picture")
    return tmp_path / "people"


def test_people_are_the_folders_with_pictures_whatever_their_names(source):
    pictures, names = list_people(source)
    assert names == ("happy", "s1", "s10", "s2") and len(pictures) == 40
    assert {(p.id, p.label, p.split) for p in pictures} >= {("s10/3.png", "s10", "train")}
    pictures, names = list_people(source, 2)
    assert names == ("happy", "s1") and {p.label for p in pictures} == set(names)


def test_people_become_the_classes_of_a_prepared_folder(source, tmp_path):
    options = ["--source", str(source), "--output", str(tmp_path / "out"), "--people", "3"]
    assert main(["prepare", "people", *options, "--no-find-faces", "--grey"]) == 0
    data = read_prepared(tmp_path / "out")
    assert data.classes == ("happy", "s1", "s10") and data.faces.shape == (30, 112, 112, 1)
    for split, count in (("train", 9), ("validation", 1)):
        assert [(data.label[data.rows(split)] == k).sum() for k in range(3)] == [count] * 3
    assert not data.pose_trusted.any()


def test_a_wrong_layout_is_one_clear_line(tmp_path, source):
    with pytest.raises(UserError, match="a folder of pictures for each of several people"):
        list_people(source / "s1")
    with pytest.raises(UserError, match="is not a folder"):
        list_people(tmp_path / "nowhere")


@pytest.mark.slow
def test_the_orl_faces_are_forty_people(shared_data, tmp_path):
    with zipfile.ZipFile(shared_data / "orl_faces" / "orl_faces.zip") as archive:
        archive.extractall(tmp_path / "orl")
    pictures, names = list_people(tmp_path / "orl")
    assert len(names) == 40 and len(pictures) == 400
