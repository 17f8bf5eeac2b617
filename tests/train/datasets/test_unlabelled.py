import cv2
import numpy as np
import pytest

from realtime.faces import EXPRESSIONS
from tests.train.conftest import tiny_rows
from train.__main__ import main
from train.data.prepared import read_prepared, write_prepared
from train.datasets.join import join_prepared
from train.datasets.unlabelled import list_unlabelled
from train.errors import UserError


@pytest.fixture
def people(tmp_path):
    """Two people, one of them with two pictures, and a file that is no picture."""
    for name in ("s1/1.pgm", "s1/2.pgm", "s2/1.PNG"):
        path = tmp_path / "people" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((112, 92), 90, np.uint8))
    (tmp_path / "people" / "README").write_text("faces")
    return tmp_path / "people"


def test_all_pictures_in_the_tree_are_listed(people):
    pictures = list_unlabelled(people)
    assert [picture.id for picture in pictures] == ["s1/1.pgm", "s1/2.pgm", "s2/1.PNG"]
    assert {(picture.split, picture.label) for picture in pictures} == {("unlabelled", "")}


def test_they_join_a_dataset_without_changing_it(people, tiny_data, tmp_path):
    arguments = ["--source", str(people), "--output", str(tmp_path / "orl"), "--grey"]
    assert main(["prepare", "unlabelled", *arguments, "--no-find-faces"]) == 0
    output = tmp_path / "both"
    sources = ["--sources", str(tiny_data), str(tmp_path / "orl")]
    assert main(["prepare", "join", *sources, "--output", str(output)]) == 0

    first, both = read_prepared(tiny_data), read_prepared(output)
    assert len(both) == len(first) + 3 and both.classes == first.classes
    for name in ("faces", "ids", "split", "label", "votes", "pose", "rotation"):
        np.testing.assert_array_equal(getattr(both, name)[: len(first)], getattr(first, name))
    new = both.only(np.arange(len(first), len(both)))
    assert set(new.split) == {"unlabelled"} and set(new.label) == {-1} and not new.votes.any()
    assert not new.pose_trusted.any() and new.faces.mean() == 90


def test_labelled_faces_lose_their_labels_when_they_join(tiny_data, tmp_path):
    write_prepared(tmp_path / "more", "more", EXPRESSIONS, "none", tiny_rows(8, seed=1), 8, 1)
    counts = join_prepared([tiny_data, tmp_path / "more"], tmp_path / "both")
    both = read_prepared(tmp_path / "both")
    assert counts["unlabelled"] == 8 and set(both.label[-8:]) == {-1} and not both.votes[-8:].any()


def test_what_cannot_be_joined_is_one_clear_line(people, tiny_data, tmp_path):
    main(["prepare", "unlabelled", "--source", str(people), "--output", str(tmp_path / "rgb"),
          "--no-find-faces"])  # fmt: skip
    with pytest.raises(UserError, match="some RGB: prepare all with --grey"):
        join_prepared([tiny_data, tmp_path / "rgb"], tmp_path / "both")
    with pytest.raises(UserError, match="at least two"):
        join_prepared([tiny_data], tmp_path / "both")
    with pytest.raises(UserError, match="one of the folders to join"):
        join_prepared([tiny_data, tmp_path / "rgb"], tiny_data)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no pictures"):
        list_unlabelled(tmp_path / "empty")
