import shutil

import numpy as np
import pytest

from tests.train.made_up import POINTS, labels_of, points_of_68, save_picture
from train.__main__ import main
from train.data.prepared import read_prepared
from train.datasets.ckplus import FOLDS, classes_of, list_ckplus, subject_splits
from train.errors import UserError

SUBJECTS = [f"S{number:03}" for number in range(5, 17)]


@pytest.fixture(scope="module")
def made_layout(tmp_path_factory):
    """Twelve subjects of one labelled sequence each (expressions 1 to 7 in turn, five frames), and
    one sequence without a label."""
    source = tmp_path_factory.mktemp("layout") / "ckplus"
    points = "\n".join(f" {x:.7e} {y:.7e}" for x, y in points_of_68(POINTS))
    for index, subject in enumerate(SUBJECTS):
        for sequence in ("001", "002") if index == 0 else ("001",):
            for frame in range(1, 6):
                stem = f"{subject}_{sequence}_{frame:08}"
                place = f"{subject}/{sequence}"
                picture = source / "cohn-kanade-images" / place / f"{stem}.png"
                save_picture(picture, frame, grey=True)
                landmarks = source / "Landmarks" / place / f"{stem}_landmarks.txt"
                landmarks.parent.mkdir(parents=True, exist_ok=True)
                landmarks.write_text(points)
            emotion = source / "Emotion" / subject / sequence
            emotion.mkdir(parents=True)
            if sequence == "001":
                name = f"{subject}_001_00000005_emotion.txt"
                (emotion / name).write_text(f"   {index % 7 + 1:.7e}\n")
    return source


@pytest.fixture
def ckplus(made_layout, tmp_path):
    return shutil.copytree(made_layout, tmp_path / "ckplus")


def test_last_three_frames_and_the_first_as_neutral(ckplus):
    pictures = list_ckplus(ckplus, classes_of("7+neutral"), fold=0)

    first = [(picture.id, picture.label, picture.split) for picture in pictures[:4]]
    assert first == [
        ("S005/001/S005_001_00000001.png", "neutral", "test"),
        ("S005/001/S005_001_00000003.png", "anger", "test"),
        ("S005/001/S005_001_00000004.png", "anger", "test"),
        ("S005/001/S005_001_00000005.png", "anger", "test"),
    ]
    assert len(pictures) == 4 * 12, "the sequence without a label must stay out"
    np.testing.assert_allclose(pictures[0].landmarks, POINTS, atol=1e-5)


@pytest.mark.parametrize(
    ("choice", "classes", "labelled", "unlabelled"),
    [
        # Contempt is the expression of the second and the ninth of the twelve subjects; fold 0
        # trains on the third to the tenth.
        ("7", 7, 36, 8),
        ("6", 6, 30, 7),
        ("7+neutral", 8, 48, 0),
        ("6+neutral", 7, 40, 0),
    ],
)
def test_classes_and_where_neutral_goes(ckplus, choice, classes, labelled, unlabelled):
    names = classes_of(choice)
    pictures = list_ckplus(ckplus, names, fold=0)

    assert len(names) == classes and ("neutral" in names) == ("neutral" in choice)
    assert sum(picture.label != "" for picture in pictures) == labelled
    kept = [picture for picture in pictures if picture.split == "unlabelled"]
    assert len(kept) == unlabelled and all(picture.label == "" for picture in kept)


def test_ten_folds_share_no_subject_and_cover_all():
    tested = []
    for fold in range(FOLDS):
        splits = subject_splits(SUBJECTS, fold)
        assert set(splits) == set(SUBJECTS)
        tested += [subject for subject, split in splits.items() if split == "test"]
        assert {"test", "validation", "train"} == set(splits.values())
    assert sorted(tested) == SUBJECTS
    assert [s for s, split in subject_splits(SUBJECTS, 1).items() if split == "test"] == [
        "S006", "S016",
    ]  # fmt: skip


def test_prepared_and_choosable_by_fold(ckplus, tmp_path):
    output = tmp_path / "out"
    options = ["--source", str(ckplus), "--output", str(output), "--fold", "3"]
    assert main(["prepare", "ckplus", *options, "--classes", "7+neutral"]) == 0

    data = read_prepared(output)
    assert data.faces.shape == (48, 112, 112, 1)
    assert labels_of(data, "test") == ["neutral", "fear", "fear", "fear"]
    assert labels_of(data, "validation") == ["neutral"] + ["happiness"] * 3


def first(folder, pattern):
    return sorted(folder.rglob(pattern))[0]


@pytest.mark.parametrize(
    ("break_layout", "message"),
    [
        (lambda s: shutil.rmtree(s / "Emotion"), "no Emotion/"),
        (lambda s: shutil.rmtree(s / "Landmarks"), "no Landmarks/"),
        (lambda s: first(s, "S005*0005_landmarks.txt").unlink(), "0005_landmarks.txt is missing"),
        (lambda s: first(s, "S005*0005_landmarks.txt").write_text("1 2"), "68 lines of x and y"),
        (lambda s: first(s, "*_emotion.txt").write_text("9.0"), "no expression 9"),
        (lambda s: first(s, "*_emotion.txt").write_text("sad"), "should hold one number"),
        (lambda s: [p.unlink() for p in s.rglob("*_emotion.txt")], "no sequence is labelled"),
        (lambda s: shutil.rmtree(s / "cohn-kanade-images/S005/001"), "has 0 frames"),
    ],
)
def test_a_wrong_layout_names_the_missing_piece(ckplus, break_layout, message):
    break_layout(ckplus)
    with pytest.raises(UserError, match=message):
        list_ckplus(ckplus, classes_of("7"), fold=0)


def test_there_is_no_eleventh_fold(ckplus):
    with pytest.raises(UserError, match="no fold 10: choose 0 to 9"):
        list_ckplus(ckplus, classes_of("7"), fold=10)
