import numpy as np
import pytest
import torch

from tests.train.training import STILL
from train.data.augmentation import Augmentation, Augmenter, blurred, coarser, covered, elsewhere, stretched


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


def test_a_coarser_face_has_lost_detail_and_kept_its_light():
    torch.manual_seed(0)
    pixels = torch.rand(8, 1, 56, 56)
    changed = coarser(pixels, share=0.5)
    untouched = [torch.equal(one, other) for one, other in zip(pixels, changed, strict=True)]
    assert 0 < sum(untouched) < 8
    for one, other, same in zip(pixels, changed, untouched, strict=True):
        assert same or other.std() < 0.6 * one.std()
        assert abs(float(other.mean() - one.mean())) < 0.02


def test_other_surroundings_leave_the_face_itself():
    torch.manual_seed(0)
    pixels = torch.stack([torch.full((1, 112, 112), value) for value in (0.2, 0.8)])
    changed = elsewhere(pixels.repeat(8, 1, 1, 1), share=1.0)
    face, corner = changed[:, 0, 60:80, 46:66], changed[:, 0, :6, :6]
    assert torch.equal(face, pixels.repeat(8, 1, 1, 1)[:, 0, 60:80, 46:66])
    assert set(corner.unique().tolist()) == {pixels[0].min().item(), pixels[1].max().item()}
    assert (corner[:, 0, 0] != face[:, 0, 0]).any()


def test_a_stretched_face_stays_where_it_is():
    torch.manual_seed(0)
    pixels = torch.zeros(16, 1, 112, 112)
    pixels[:, :, 50:62, 50:62] = 1
    changed = stretched(pixels, strength=0.1)
    at = torch.arange(112.0) - 55.5
    mass = changed[:, 0].sum(dim=(1, 2))
    across = (changed[:, 0].sum(dim=1) * at).sum(dim=1) / mass
    assert across.abs().max() < 8, "a few pixels, no shift"
    assert mass.std() > 1, "wider and narrower ones"
    assert torch.equal(stretched(pixels, strength=0.0), pixels)


def test_what_is_covered_is_one_grey_rectangle_of_no_more_than_the_share():
    torch.manual_seed(0)
    pixels = torch.rand(64, 1, 56, 56)
    changed = covered(pixels, 1.0, 0.4)
    for before, after in zip(pixels, changed, strict=True):
        rows, columns = torch.nonzero((before != after)[0], as_tuple=True)
        if len(rows):
            top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
            inside = after[0, top : bottom + 1, left : right + 1]
            assert inside.std() == pytest.approx(0, abs=1e-6) and inside.numel() < 0.45 * 56 * 56
    areas = (changed != pixels).float().mean(dim=(1, 2, 3))
    assert areas.max() > 0.3 and areas.min() < 0.1
    assert torch.equal(covered(pixels, 0.0, 0.4), pixels)
    assert 10 < (covered(pixels, 0.5, 0.4) != pixels).any(dim=(1, 2, 3)).sum() < 54


@pytest.mark.parametrize("size", [56, 112])
def test_a_blur_is_as_strong_for_faces_of_any_size(size):
    torch.manual_seed(0)
    edge = torch.zeros(200, 1, size, size)
    edge[..., size // 2 :] = 1
    slope = blurred(edge, 1.0)[:, 0, size // 2, :].diff(dim=1).max(dim=1).values
    widths = 1 / slope / size  # √(2π) standard deviations, as a share of the side
    assert 0.035 < widths.max() < 0.065 and widths.min() < 0.025
    assert torch.equal(blurred(edge, 0.0), edge)
