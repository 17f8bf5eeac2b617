import json
import shutil

import numpy as np
import pytest

from realtime.align import align, similarity_transform
from tests.train.made_up import POINTS, labels_of, save_picture
from train.__main__ import main
from train.data.prepared import read_prepared
from train.datasets.rafdb import CODES, list_rafdb
from train.errors import UserError


@pytest.fixture
def rafdb(tmp_path):
    """Two training pictures and one test picture of each class, aligned and original."""
    source, lines = tmp_path / "basic", []
    for split, count in (("train", 14), ("test", 7)):
        for number in range(1, count + 1):
            stem = f"{split}_{number:05}" if split == "train" else f"{split}_{number:04}"
            lines.append(f"{stem}.jpg {(number - 1) % 7 + 1}")
            save_picture(source / "Image" / "aligned" / f"{stem}_aligned.jpg", number)
            save_picture(source / "Image" / "original" / f"{stem}.jpg", 100 + number, size=150)
            attributes = source / "Annotation" / "manual" / f"{stem}_manu_attri.txt"
            attributes.parent.mkdir(parents=True, exist_ok=True)
            text = "\n".join(f"{x:.3f}\t{y:.3f}" for x, y in POINTS + number)
            attributes.write_text(f"{text}\n1\n0\n2\n")
    (source / "EmoLabel").mkdir()
    (source / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines) + "\n")
    return source


def prepare(source, output, *more):
    command = ["prepare", "rafdb", "--source", str(source), "--output", str(output), *more]
    assert main(command) == 0
    return read_prepared(output)


def test_original_pictures_are_aligned_to_their_landmarks(rafdb, tmp_path):
    data = prepare(rafdb, tmp_path / "out", "--images", "original", "--validation", "0.5")

    assert data.classes == (
        "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear",
    )  # fmt: skip
    assert labels_of(data, "test") == list(CODES.values())
    assert sorted(labels_of(data, "train")) == sorted(labels_of(data, "validation"))
    assert len(data.rows("train")) == 7, "one of two of each class is held out"
    assert data.ids[0] == "train_00001.jpg" and data.faces.shape[1:] == (112, 112, 3)
    picture = save_picture(tmp_path / "again.jpg", 103, size=150)
    expected = align(picture, similarity_transform((POINTS + 3).astype(np.float32)))
    third = data.faces[2].astype(int)
    assert np.abs(third - expected).max() <= 1
    assert np.isnan(data.pose).all() and not data.pose_trusted.any()
    assert json.loads((tmp_path / "out" / "prepared.json").read_text())["pose_from"] == "none"


def test_aligned_pictures_without_a_search_get_the_average_crop(rafdb, tmp_path):
    data = prepare(rafdb, tmp_path / "out", "--no-find-faces", "--grey")

    assert data.faces.shape == (21, 112, 112, 1)
    # The template fills the whole picture, so the crop is the picture, larger.
    np.testing.assert_allclose(data.rotation, 0, atol=1e-3)
    assert not data.pose_trusted.any()
    votes = data.votes[data.rows("test")]
    assert (votes.sum(axis=1) == 1).all()
    assert (votes.argmax(axis=1) == data.label[data.rows("test")]).all()


@pytest.mark.parametrize(
    ("break_layout", "images", "message"),
    [
        (lambda s: shutil.rmtree(s / "EmoLabel"), "aligned", "no EmoLabel/list_patition_label"),
        (lambda s: shutil.rmtree(s / "Image/aligned"), "aligned", "no Image/aligned/"),
        (
            lambda s: (s / "Image/aligned/train_00003_aligned.jpg").unlink(),
            "aligned",
            "no train_00003_aligned.jpg",
        ),
        (
            lambda s: (s / "Annotation/manual/test_0002_manu_attri.txt").unlink(),
            "original",
            "test_0002_manu_attri.txt is missing",
        ),
        (
            lambda s: (s / "Annotation/manual/test_0002_manu_attri.txt").write_text("1 2\n3\n"),
            "original",
            "x and y of a landmark",
        ),
        (
            lambda s: (s / "EmoLabel/list_patition_label.txt").write_text("train_00001.jpg 9\n"),
            "aligned",
            "found 'train_00001.jpg 9'",
        ),
    ],
)
def test_a_wrong_layout_names_the_missing_piece(rafdb, break_layout, images, message):
    break_layout(rafdb)
    with pytest.raises(UserError, match=message) as caught:
        list_rafdb(rafdb, images)
    assert "\n" not in str(caught.value)
