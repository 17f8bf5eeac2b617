import numpy as np
import pytest
import torch

from realtime.faces import HeadPose
from train.pose import mirrored, pose_angles, pose_matrix, turned

ANGLES = [(0, 0, 0), (30, -20, 10), (-45, 15, -25), (70, 40, 60), (5, -60, 170)]


@pytest.mark.parametrize("angles", ANGLES)
def test_batches_agree_with_head_pose(angles):
    batch, pose = torch.tensor([angles], dtype=torch.float64), HeadPose(*angles)

    np.testing.assert_allclose(pose_matrix(batch)[0], pose.matrix(), atol=1e-12)
    np.testing.assert_allclose(pose_angles(pose_matrix(batch))[0], angles, atol=1e-9)
    there = pose.turned(25)
    expected = [there.yaw, there.pitch, there.roll]
    np.testing.assert_allclose(turned(batch, torch.tensor([25.0]).double())[0], expected, atol=1e-9)
    np.testing.assert_allclose(mirrored(batch)[0], [-angles[0], angles[1], -angles[2]])


def test_turning_a_frontal_face_changes_only_its_roll():
    turned_face = turned(torch.zeros(1, 3), torch.tensor([20.0]))

    np.testing.assert_allclose(turned_face[0], [0, 0, 20], atol=1e-5)


def test_turning_there_and_back_changes_nothing():
    angles = torch.tensor(ANGLES, dtype=torch.float64)
    by = torch.tensor([10.0, -40.0, 5.0, 90.0, -15.0]).double()

    np.testing.assert_allclose(turned(turned(angles, by), -by), angles, atol=1e-9)
