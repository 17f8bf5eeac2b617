import pytest

from tests.train.made_up import save_picture
from train.__main__ import main
from train.data.prepared import read_prepared
from train.datasets.folders import list_folders
from train.errors import UserError


def fill(source, names, count):
    for place, name in enumerate(names):
        for index in range(count):
            save_picture(source / name / f"{index}.png", 100 * place + index)
    return source


def prepare(source, output, *more):
    options = ["--source", str(source), "--output", str(output), "--no-find-faces", *more]
    assert main(["prepare", "folders", *options]) == 0
    return read_prepared(output)


def test_synonyms_in_any_case_and_in_the_order_of_the_vocabulary(tmp_path):
    source = fill(tmp_path / "faces", ["Joy", "ANGRY", "neutral", "fearful"], 1)
    (source / "Joy" / "notes.txt").write_text("no picture")

    pictures, classes = list_folders(source)

    assert classes == ("neutral", "happiness", "anger", "fear")
    assert {(p.id, p.label, p.split) for p in pictures} == {
        ("ANGRY/0.png", "anger", "train"),
        ("Joy/0.png", "happiness", "train"),
        ("fearful/0.png", "fear", "train"),
        ("neutral/0.png", "neutral", "train"),
    }


def test_without_splits_each_class_is_divided_by_the_seed(tmp_path):
    source = fill(tmp_path / "faces", ["happy", "sad"], 20)

    one = prepare(source, tmp_path / "one")
    again = prepare(source, tmp_path / "again")
    other = prepare(source, tmp_path / "other", "--seed", "1")

    for split, count in (("train", 16), ("validation", 2), ("test", 2)):
        labels = one.label[one.rows(split)]
        assert (labels == 0).sum() == (labels == 1).sum() == count
    assert one.split.tolist() == again.split.tolist() != other.split.tolist()


def test_folders_of_splits_are_kept_and_a_missing_one_is_held_out(tmp_path):
    source = fill(tmp_path / "faces", ["train/happy", "train/sad"], 10)
    fill(source, ["test/happy", "test/sad"], 3)

    data = prepare(source, tmp_path / "out", "--validation", "0.2")

    assert {split: len(data.rows(split)) for split in ("train", "validation", "test")} == {
        "train": 16, "validation": 4, "test": 6,
    }  # fmt: skip
    assert all(name.startswith("test/") for name in data.ids[data.rows("test")])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["happy", "bored"], r"bored is named after no expression.*happiness \(happy, joy"),
        (["train/happy", "sad"], "mixes folders of splits with others: sad"),
        ([], "no pictures in <split>/<class>/ or <class>/"),
    ],
)
def test_a_wrong_layout_names_the_missing_piece(names, message, tmp_path):
    (tmp_path / "faces").mkdir()
    with pytest.raises(UserError, match=message):
        list_folders(fill(tmp_path / "faces", names, 1))
    with pytest.raises(UserError, match="is not a folder"):
        list_folders(tmp_path / "nowhere")
