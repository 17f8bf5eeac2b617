from dataclasses import replace

import numpy as np
import pytest

from realtime.faces import EXPRESSIONS, LANDMARKS, Face, HeadPose
from tests.realtime.support.media import make_face

POSES = [(0, 0, 0), (30, 0, 0), (0, 20, 0), (0, 0, -40), (-35, 15, 25), (70, -50, 120)]


def angles(pose):
    return pose.yaw, pose.pitch, pose.roll


@pytest.mark.parametrize("pose", POSES)
def test_matrix_and_back(pose):
    matrix = HeadPose(*pose).matrix()
    assert np.allclose(matrix @ matrix.T, np.eye(3)) and np.linalg.det(matrix) > 0
    assert angles(HeadPose.from_matrix(matrix)) == pytest.approx(pose)


def test_signs():
    """x right, y up, z toward the camera; the columns are the head's own axes."""
    turned = HeadPose(yaw=30, pitch=0, roll=0).matrix()[:, 2]
    assert turned[0] > 0 and turned[1] == 0  # the nose points to the image's right
    lifted = HeadPose(yaw=0, pitch=30, roll=0).matrix()[:, 2]
    assert lifted[1] > 0 and lifted[0] == 0  # the nose points up
    tilted = HeadPose(yaw=0, pitch=0, roll=30).matrix()[:, 1]
    assert tilted[0] > 0 and tilted[1] > 0  # the top of the head leans to the image's right


@pytest.mark.parametrize("pose", POSES)
def test_mirrored_is_a_reflection_of_the_matrix(pose):
    mirror = np.diag([-1, 1, 1])
    expected = mirror @ HeadPose(*pose).matrix() @ mirror
    assert np.allclose(HeadPose(*pose).mirrored().matrix(), expected)
    assert angles(HeadPose(*pose).mirrored()) == pytest.approx((-pose[0], pose[1], -pose[2]))


def test_turned_adds_roll_to_a_frontal_face():
    assert angles(HeadPose(0, 0, 10).turned(25)) == pytest.approx((0, 0, 35))


def test_turned_carries_yaw_over_into_pitch():
    """A face that looks to the image's right looks down when the image is turned clockwise."""
    turned = HeadPose(yaw=40, pitch=0, roll=0).turned(90)
    assert turned.yaw == pytest.approx(0, abs=1e-9) and turned.pitch == pytest.approx(-40)


@pytest.mark.parametrize("pose", POSES)
def test_turned_back_is_the_same(pose):
    assert angles(HeadPose(*pose).turned(33).turned(-33)) == pytest.approx(pose)


def test_face_label_and_size():
    face = make_face(size=50, label=EXPRESSIONS.index("fear"))
    assert face.label == "fear"
    assert face.size == 50
    with pytest.raises(ValueError, match="run the engine"):
        _ = Face(face.box, face.score, face.landmarks).label


def test_the_probability_is_that_of_the_label_also_where_it_is_held():
    expression = np.array([0.40, 0.46, 0.14, 0, 0, 0, 0, 0], np.float32)
    face = replace(make_face(), expression=expression)
    assert (face.label, face.probability) == ("happiness", pytest.approx(0.46))
    held = replace(face, held_label="neutral")
    assert (held.label, held.probability) == ("neutral", pytest.approx(0.40))
    assert held.mirrored(160).probability == held.probability
    with pytest.raises(ValueError, match="run the engine"):
        _ = replace(face, expression=None).probability


def test_mirrored_face_twice_is_the_same_and_keeps_sides():
    face = make_face(center=(40, 60), pose=(20, 5, -8))
    once = face.mirrored(160)
    left, right = LANDMARKS.index("left eye"), LANDMARKS.index("right eye")
    assert once.landmarks[left, 0] < once.landmarks[right, 0]
    assert once.box[0] < once.box[2] and once.box[0] == 159 - face.box[2]
    assert angles(once.pose) == (-20, 5, 8)
    again = once.mirrored(160)
    assert np.allclose(again.box, face.box) and np.allclose(again.landmarks, face.landmarks)
