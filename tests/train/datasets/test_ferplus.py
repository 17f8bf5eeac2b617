import csv
import shutil
import zipfile

import cv2
import numpy as np
import pytest

from realtime.align import TEMPLATE, align, similarity_transform
from train.data.prepared import read_prepared
from train.datasets.ferplus import FOLDERS, LANDMARK_COLUMNS, majority_label, prepare_ferplus
from train.errors import UserError


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        ([10, 0, 0, 0, 0, 0, 0, 0, 0, 0], "neutral"),
        ([6, 0, 0, 0, 4, 0, 0, 0, 0, 0], "neutral"),
        ([5, 0, 0, 0, 5, 0, 0, 0, 0, 0], ""),  # half is not more than half
        ([5, 0, 0, 0, 4, 1, 0, 0, 0, 0], "neutral"),  # the single vote is dropped
        ([4, 0, 3, 3, 0, 0, 0, 0, 0, 0], ""),
        ([1, 1, 1, 0, 0, 0, 0, 2, 0, 0], "contempt"),
        ([0, 0, 0, 0, 0, 0, 0, 0, 10, 0], ""),  # unknown
        ([2, 0, 0, 0, 0, 0, 0, 0, 0, 8], ""),  # not a face
        ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], ""),
    ],
)
def test_majority_protocol(votes, label):
    assert majority_label(np.array(votes)) == label


@pytest.fixture
def layout(tmp_path):
    """Five pictures a split in the official layout; the landmarks of one cannot be trusted."""
    random = np.random.default_rng(0)
    source = tmp_path / "ferplus"
    poses = []
    for folder in FOLDERS.values():
        (source / folder).mkdir(parents=True)
        labels = []
        for index in range(5):
            name = f"fer{index:07}.png"
            picture = cv2.resize(random.integers(0, 256, (6, 6), dtype=np.uint8), (48, 48))
            cv2.imwrite(str(source / folder / name), picture)
            votes = [0] * 10
            votes[index] = 10
            if index == 4:
                votes = [5, 5, 0, 0, 0, 0, 0, 0, 0, 0]
            labels.append([name, "(0, 0, 48, 48)", *votes])
            points = (TEMPLATE * 48 / 112 + index).reshape(-1)
            score = 0.1 if index == 3 else 0.9
            poses.append([folder, name, 10.0 * index, 2.0, -3.0, score, 1.0, *points])
        write_csv(source / folder / "label.csv", labels)
    header = ["split", "image", "yaw", "pitch", "roll", "score", "flip_error", *LANDMARK_COLUMNS]
    write_csv(source / "pose.csv", [header, *poses])
    return source


def write_csv(path, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_folders_and_zips_give_the_same(layout, tmp_path):
    counts = prepare_ferplus(layout, tmp_path / "from_folders")
    for folder in FOLDERS.values():
        with zipfile.ZipFile(layout / f"{folder}.zip", "w") as archive:
            for path in sorted((layout / folder).iterdir()):
                archive.write(path, f"{folder}/{path.name}")
        shutil.rmtree(layout / folder)
    prepare_ferplus(layout, tmp_path / "from_zips")

    assert counts == {"train": 4, "validation": 4, "test": 4, "unlabelled": 1}
    one, other = read_prepared(tmp_path / "from_folders"), read_prepared(tmp_path / "from_zips")
    np.testing.assert_array_equal(one.faces, other.faces)
    np.testing.assert_array_equal(one.votes, other.votes)


def test_labels_pose_and_crop(layout, tmp_path):
    prepare_ferplus(layout, tmp_path / "out")
    data = read_prepared(tmp_path / "out")

    train = data.rows("train")
    assert [data.classes[i] for i in data.label[train]] == [
        "neutral", "happiness", "surprise", "sadness",
    ]  # fmt: skip
    assert data.pose_trusted[train].tolist() == [True, True, True, False]
    np.testing.assert_allclose(data.pose[train][:, 0], [0, 10, 20, 30])
    picture = cv2.imread(str(layout / "FER2013Train" / "fer0000001.png"), cv2.IMREAD_GRAYSCALE)
    transform = similarity_transform(TEMPLATE * 48 / 112 + 1)
    np.testing.assert_array_equal(data.faces[train[1]][:, :, 0], align(picture, transform))
    assert data.label[data.rows("unlabelled")].tolist() == [-1]


@pytest.mark.parametrize(
    ("break_layout", "message"),
    [
        (lambda source: (source / "pose.csv").unlink(), "pose.csv is missing"),
        (lambda source: shutil.rmtree(source / "FER2013Test"), "neither FER2013Test/ nor"),
        (lambda source: (source / "FER2013Train/fer0000002.png").unlink(), "no fer0000002.png"),
        (lambda source: (source / "FER2013Valid/label.csv").unlink(), "no label.csv"),
        (
            lambda source: (source / "FER2013Train/fer0000001.png").write_text("no picture"),
            "fer0000001.png.*not a readable picture",
        ),
        (lambda source: write_csv(source / "pose.csv", [["image", "yaw"]]), "lacks the columns"),
        (
            lambda source: write_csv(source / "FER2013Test/label.csv", [["a.png", 1, 2]]),
            "ten votes",
        ),
    ],
)
def test_a_wrong_layout_names_the_missing_piece(layout, tmp_path, break_layout, message):
    break_layout(layout)
    with pytest.raises(UserError, match=message):
        prepare_ferplus(layout, tmp_path / "out")
    with pytest.raises(UserError, match="train prepare"):
        read_prepared(tmp_path / "out")


@pytest.mark.slow
def test_the_majority_protocol_keeps_the_known_numbers(shared_data, tmp_path):
    counts = prepare_ferplus(shared_data / "ferplus", tmp_path / "ferplus")

    assert (counts["train"], counts["validation"], counts["test"]) == (25_045, 3_191, 3_137)
