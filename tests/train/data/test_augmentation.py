import numpy as np
import torch

from tests.train.training import STILL
from train.data.augmentation import Augmentation, Augmenter


def arrow(size: int = 56) -> torch.Tensor:
    """A white bar from the centre straight up, on black: where is up now?"""
    pixels = torch.zeros(1, 1, size, size)
    pixels[..., : size // 2, size // 2 - 2 : size // 2 + 2] = 1
    return pixels


def clockwise_angle(pixels: torch.Tensor) -> float:
    """By how many degrees the bar of :func:`arrow` is turned clockwise."""
    rows, columns = np.nonzero(pixels[0, 0].numpy() > 0.5)
    up, right = 27.5 - rows.mean(), columns.mean() - 27.5
    return float(np.degrees(np.arctan2(right, up)))


def test_roll_follows_the_picture():
    torch.manual_seed(0)
    augment = Augmenter(Augmentation(rotation=40, shift=0, zoom=0, light=0, erase=0, blur=0))
    for _ in range(20):
        pixels, pose = augment(arrow(), torch.zeros(1, 3))
        assert abs(clockwise_angle(pixels) - float(pose[0, 2])) < 1.5
        np.testing.assert_allclose(pose[0, :2], 0, atol=1e-4)


def test_flip_mirrors_picture_and_pose_together():
    torch.manual_seed(0)
    pixels = torch.zeros(64, 1, 56, 56)
    pixels[..., :28] = 1
    changed, pose = Augmenter(STILL)(pixels, torch.tensor([[20.0, 5.0, -8.0]]).expand(64, 3))

    flipped = changed[:, 0, 0, 0] < 0.5
    assert 10 < int(flipped.sum()) < 54
    expected = torch.where(
        flipped[:, None], torch.tensor([-20.0, 5.0, 8.0]), torch.tensor([20.0, 5.0, -8.0])
    )
    np.testing.assert_allclose(pose, expected, atol=1e-4)


def test_pixels_stay_in_range_and_labels_stay_true_sized():
    torch.manual_seed(0)
    pixels, pose = Augmenter(Augmentation())(torch.rand(32, 1, 56, 56), torch.zeros(32, 3))

    assert pixels.shape == (32, 1, 56, 56) and pose.shape == (32, 3)
    assert 0 <= float(pixels.min()) and float(pixels.max()) <= 1
    assert pixels.isfinite().all() and pose.isfinite().all()
