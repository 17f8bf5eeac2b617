import json

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, precision_score

from train.metrics import Predictions, accuracy_by_yaw, expression_scores, pose_scores
from train.pose import YAW_BIN_EDGES, yaw_bin


def one_hot(called, classes=3):
    return np.eye(classes)[called]


def test_scores_against_scikit_learn():
    random = np.random.default_rng(0)
    label, probabilities = random.integers(0, 8, 500), random.random((500, 8))
    called = probabilities.argmax(axis=1)

    scores = expression_scores(probabilities, label)

    assert scores["accuracy"] == pytest.approx(accuracy_score(label, called))
    assert scores["mean_class_accuracy"] == pytest.approx(balanced_accuracy_score(label, called))
    np.testing.assert_allclose(scores["precision"], precision_score(label, called, average=None))


def test_a_class_without_faces_is_left_out_of_the_mean():
    scores = expression_scores(one_hot([0, 0, 1, 0]), np.array([0, 0, 1, 1]))

    assert scores["accuracy"] == 0.75
    assert scores["mean_class_accuracy"] == 0.75
    assert scores["confusion"] == [[2, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert scores["recall"] == [1, 0.5, None]
    assert scores["precision"] == pytest.approx([2 / 3, 1, None])
    json.dumps(scores, allow_nan=False)


def test_yaw_classes_are_the_papers():
    yaw = np.array([0.0, -9.9, 10.0, -25.0, 39.0, 40.0, 60.0, np.nan])
    label = np.zeros(8, int)
    called = one_hot([0, 1, 0, 0, 1, 0, 0, 1])

    cells = accuracy_by_yaw(called, label, yaw)

    counts = {name: cell["faces"] for name, cell in cells.items()}
    assert counts == {
        "0-10": 3, "10-20": 0, "20-30": 1, "30-40": 2, ">40": 1, ">10": 4, ">20": 4, ">30": 3,
    }  # fmt: skip
    assert cells["0-10"]["accuracy"] == pytest.approx(2 / 3) and cells[">40"]["accuracy"] == 1.0


def test_pose_errors_count_only_known_poses():
    predicted = Predictions(np.zeros((3, 8)), np.array([0, 1, 4]), np.array([[1.0, 2, 3]] * 3))
    pose = np.array([[0.0, 0, 0], [3, 2, 1], [90, 90, 90]])

    scores = pose_scores(predicted, pose, np.array([0, 2, 0]), np.array([True, True, False]))

    assert scores == {"faces": 2, "yaw": 1.5, "pitch": 1.0, "roll": 2.5, "yaw_bin_accuracy": 0.5}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_table_by_yaw_counts_as_the_classes_do(dtype):
    """At an edge, on both sides of it, turned to either side, and unknown: a face of class k is in
    row k, and "larger than" an edge is every class above it."""
    yaw = np.array(
        [sign * (edge + step) for edge in YAW_BIN_EDGES for step in (-0.1, 0.0, 0.1)
         for sign in (-1, 1)] + [0.0, np.nan],
        dtype=dtype,
    )  # fmt: skip
    table = accuracy_by_yaw(np.ones((len(yaw), 1)), np.zeros(len(yaw), int), yaw)
    classes = yaw_bin(torch.from_numpy(yaw[:-1])).numpy()

    rows = ["0-10", "10-20", "20-30", "30-40", ">40"]
    assert [table[row]["faces"] for row in rows] == np.bincount(classes).tolist()
    for index, edge in enumerate((10, 20, 30, 40)):
        assert table[f">{edge}"]["faces"] == (classes > index).sum() == (np.abs(yaw) > edge).sum()
    assert table["0-10"]["faces"] == 5, "10.0 is not larger than 10"
