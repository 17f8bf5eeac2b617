import shutil

import pytest

from tests.train.made_up import labels_of, save_picture
from train.__main__ import main
from train.data.prepared import read_prepared
from train.datasets.sfew import CLASS_FOLDERS, list_sfew
from train.errors import UserError

EXPECTED = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]


def make(source, train="Train", test="Val"):
    for folder, count in ((train, 2), (test, 1)):
        for place, name in enumerate(CLASS_FOLDERS):
            for index in range(count):
                save_picture(source / folder / name / f"Film_{index}.png", 10 * place + index)
    return source


@pytest.mark.parametrize(
    ("images", "folders"),
    [
        ("full", ("Train", "Val")),
        ("aligned", ("Train_Aligned_Faces", "Val_Aligned_Faces")),
        ("aligned", ("Train/Train_Aligned_Faces", "Val/Val_Aligned_Faces")),
    ],
)
def test_validation_is_the_test_split(images, folders, tmp_path):
    source, output = make(tmp_path / "sfew", *folders), tmp_path / "out"
    options = ["--source", str(source), "--output", str(output), "--images", images]

    assert main(["prepare", "sfew", *options, "--no-find-faces", "--validation", "0.5"]) == 0

    data = read_prepared(output)
    assert labels_of(data, "test") == EXPECTED
    assert labels_of(data, "train") == labels_of(data, "validation") == EXPECTED
    assert len(data.classes) == 7 and "contempt" not in data.classes


@pytest.mark.parametrize(
    ("images", "missing", "message"),
    [
        ("full", "Val", "no Val/"),
        ("full", "Train/Happy", "Train has no Happy/"),
        ("aligned", "Train", "no Train_Aligned_Faces/.*--images full"),
    ],
)
def test_a_wrong_layout_names_the_missing_piece(images, missing, message, tmp_path):
    source = make(tmp_path / "sfew")
    shutil.rmtree(source / missing)
    with pytest.raises(UserError, match=message):
        list_sfew(source, images)
