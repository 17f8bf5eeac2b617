import csv
import shutil

import numpy as np
import pytest

from realtime.align import align, similarity_transform
from tests.train.made_up import POINTS, labels_of, points_of_68, save_picture
from train.__main__ import main
from train.data.prepared import read_prepared
from train.datasets.affectnet import COLUMNS, classes_of, list_affectnet
from train.errors import UserError

CODES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]


def listed(source, with_names_in_both=True):
    """The older layout: one picture of each code in both lists."""
    for split, offset in (("training", 0), ("validation", 50)):
        rows = [COLUMNS] if split == "training" or with_names_in_both else []
        for code in CODES:
            name = f"{code}/{split}{code}.jpg"
            save_picture(source / "Manually_Annotated_Images" / name, offset + code)
            points = ";".join(f"{value:.2f}" for value in points_of_68(POINTS).reshape(-1))
            rows.append([name, 10, 10, 80, 80, points, code, 0.1, -0.2])
        folder = source / "Manually_Annotated_file_lists"
        folder.mkdir(exist_ok=True)
        with open(folder / f"{split}.csv", "w", newline="") as file:
            csv.writer(file).writerows(rows)
    return source


def numbered(source):
    """The newer layout: one picture of each code in both sets; the labels are stored as text."""
    for part, offset in (("train_set", 0), ("val_set", 50)):
        annotations = source / part / "annotations"
        annotations.mkdir(parents=True)
        for code in CODES:
            save_picture(source / part / "images" / f"{code + 5}.jpg", offset + code)
            np.save(annotations / f"{code + 5}_exp.npy", np.array(str(code)))
            np.save(annotations / f"{code + 5}_lnd.npy", points_of_68(POINTS).reshape(-1))
    return source


@pytest.mark.parametrize("count", ["7", "8"])
@pytest.mark.parametrize("layout", [listed, numbered])
def test_both_layouts_give_the_same_faces(layout, count, tmp_path):
    source, output = layout(tmp_path / "affectnet"), tmp_path / "out"
    options = ["--source", str(source), "--output", str(output), "--validation", "0.001"]

    assert main(["prepare", "affectnet", *options, "--classes", count]) == 0

    data = read_prepared(output)
    order = ["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"]
    assert labels_of(data, "test") == order[: int(count)] and len(data) == 2 * int(count)
    picture = save_picture(tmp_path / "again.jpg", 53)
    expected = align(picture, similarity_transform(POINTS))
    assert np.abs(data.faces[data.rows("test")[3]].astype(int) - expected).max() <= 1


def test_a_list_without_column_names_loses_no_picture(tmp_path):
    with_names = list_affectnet(listed(tmp_path / "one"), classes_of("8"))
    without = list_affectnet(listed(tmp_path / "two", with_names_in_both=False), classes_of("8"))

    assert [picture.id for picture in with_names] == [picture.id for picture in without]
    assert with_names[0].box == (10, 10, 90, 90)


LISTS, IMAGES = "Manually_Annotated_file_lists", "Manually_Annotated_Images"


@pytest.mark.parametrize(
    ("layout", "break_layout", "message"),
    [
        (listed, lambda s: (s / LISTS / "validation.csv").unlink(), "no validation.csv"),
        (listed, lambda s: shutil.rmtree(s / IMAGES), "no Manually_Annotated_Images/"),
        (listed, lambda s: (s / IMAGES / "3/training3.jpg").unlink(), "no 3/training3.jpg"),
        (listed, lambda s: shutil.rmtree(s / LISTS), "neither training.csv nor train_set/"),
        (
            listed,
            lambda s: (s / LISTS / "training.csv").write_text("a.jpg,1\n"),
            "training.csv, line 1: expected the columns",
        ),
        (
            listed,
            lambda s: (s / LISTS / "training.csv").write_text("a.jpg,1,1,9,9,1;2;3;4,0,0,0\n"),
            "line 1: expected 68 landmarks, found 2",
        ),
        (numbered, lambda s: shutil.rmtree(s / "val_set/images"), "no val_set/images/"),
        (numbered, lambda s: shutil.rmtree(s / "val_set"), "no val_set/images/"),
        (
            numbered,
            lambda s: (s / "train_set/annotations/6_exp.npy").unlink(),
            "annotations has no 6_exp.npy",
        ),
        (
            numbered,
            lambda s: np.save(s / "train_set/annotations/6_exp.npy", np.array("happy")),
            "6_exp.npy does not hold numbers",
        ),
    ],
)
def test_a_wrong_layout_names_the_missing_piece(layout, break_layout, message, tmp_path):
    source = layout(tmp_path / "affectnet")
    break_layout(source)
    with pytest.raises(UserError, match=message) as caught:
        list_affectnet(source, classes_of("7"))
    assert "\n" not in str(caught.value)


def test_without_landmarks_a_face_is_still_listed(tmp_path):
    source = numbered(tmp_path / "affectnet")
    (source / "train_set" / "annotations" / "5_lnd.npy").unlink()

    pictures = list_affectnet(source, classes_of("7"))

    assert pictures[0].id == "train_set/images/5.jpg" and pictures[0].landmarks is None
    assert pictures[1].landmarks is not None
