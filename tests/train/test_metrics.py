import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, precision_score

from train.metrics import Predictions, accuracy_by_yaw, expression_scores, pose_scores


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
        "0-10": 2, "10-20": 1, "20-30": 1, "30-40": 1, ">40": 2, ">10": 5, ">20": 4, ">30": 3,
    }  # fmt: skip
    assert cells["0-10"]["accuracy"] == 0.5 and cells[">40"]["accuracy"] == 1.0


def test_pose_errors_count_only_known_poses():
    predicted = Predictions(np.zeros((3, 8)), np.array([0, 1, 4]), np.array([[1.0, 2, 3]] * 3))
    pose = np.array([[0.0, 0, 0], [3, 2, 1], [90, 90, 90]])

    scores = pose_scores(predicted, pose, np.array([0, 2, 0]), np.array([True, True, False]))

    assert scores == {"faces": 2, "yaw": 1.5, "pitch": 1.0, "roll": 2.5, "yaw_bin_accuracy": 0.5}
