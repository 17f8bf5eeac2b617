import cv2
import numpy as np
import pytest

from realtime.align import FACE_SIZE, TEMPLATE, align, rotation_of, similarity_transform
from realtime.faces import HeadPose


def similarity(scale, degrees, shift):
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, shift])


def apply(transform, points):
    return points @ transform[:, :2].T + transform[:, 2]


def soft_image(side=224):
    rng = np.random.default_rng(3)
    small = rng.integers(0, 255, (14, 14, 3), dtype=np.uint8)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("degrees", [0, 25, -120])
@pytest.mark.parametrize("scale", [0.3, 1, 4])
def test_known_similarity_is_recovered(scale, degrees):
    known = similarity(scale, degrees, [13, -7])
    points = apply(known, TEMPLATE.astype(np.float64))
    found = similarity_transform(points)
    assert np.allclose(apply(found, points), TEMPLATE, atol=1e-6)
    assert rotation_of(found) == pytest.approx(-degrees)


def test_is_the_least_squares_similarity():
    """No similarity near by fits noisy points better."""
    rng = np.random.default_rng(0)
    points = apply(similarity(2, 10, [5, 5]), TEMPLATE) + rng.normal(0, 3, (5, 2))
    found = similarity_transform(points)
    best = np.square(apply(found, points) - TEMPLATE).sum()
    for change in rng.normal(0, 1e-3, (50, 4)):
        nearby = [
            [change[0], -change[1], 100 * change[2]],
            [change[1], change[0], 100 * change[3]],
        ]
        other = found + np.array(nearby)
        assert np.square(apply(other, points) - TEMPLATE).sum() >= best


def test_mirrored_points_give_no_reflection():
    mirrored = TEMPLATE * [-1, 1]
    assert np.linalg.det(similarity_transform(mirrored)[:, :2]) > 0


def test_points_in_one_place_are_an_error():
    with pytest.raises(ValueError, match="one point"):
        similarity_transform(np.full((5, 2), 7.0))


def test_rotation_has_the_sign_of_roll():
    """Aligning a face that is tilted clockwise turns the image counterclockwise."""
    tilted = apply(similarity(1, 20, [0, 0]), TEMPLATE)
    turn = rotation_of(similarity_transform(tilted))
    assert turn == pytest.approx(-20)
    assert HeadPose(0, 0, 20).turned(turn).roll == pytest.approx(0, abs=1e-9)


def test_identity_copies_the_image():
    image = soft_image(FACE_SIZE)
    assert np.array_equal(align(image, similarity_transform(TEMPLATE)), image)


def test_landmarks_land_on_the_template():
    image = np.zeros((300, 300), np.uint8)
    points = apply(similarity(1.4, 15, [60, 40]), TEMPLATE)
    x, y = points[2]
    cv2.circle(image, (round(x * 16), round(y * 16)), 6 * 16, 255, -1, cv2.LINE_AA, 4)
    face = align(image, similarity_transform(points))
    rows, columns = np.nonzero(face > 127)
    assert [columns.mean(), rows.mean()] == pytest.approx(TEMPLATE[2], abs=0.5)


@pytest.mark.parametrize("factor", [2, 4, 7])
def test_large_face_looks_like_the_same_face_small(factor):
    image = soft_image()
    points = apply(similarity(1.1, 12, [40, 30]), TEMPLATE)
    large = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    large_points = (points + 0.5) * factor - 0.5
    small_face = align(image, similarity_transform(points)).astype(int)
    large_face = align(large, similarity_transform(large_points)).astype(int)
    assert np.abs(small_face - large_face).mean() < 1.5


def test_fine_texture_does_not_alias():
    """A one-pixel chequerboard far larger than the crop is grey, as the eye would see it."""
    rows, columns = np.indices((1120, 1120))
    board = ((rows + columns) % 2 * 255).astype(np.uint8)
    points = apply(similarity(9.3, 5, [20, 10]), TEMPLATE)
    face = align(board, similarity_transform(points))[10:-10, 10:-10]
    assert face.std() < 12 and face.mean() == pytest.approx(127.5, abs=3)


@pytest.mark.parametrize("scale", [0.5, 1, 6])
def test_outside_repeats_the_border(scale):
    image = np.zeros((400, 400, 3), np.uint8)
    image[:, :4] = (10, 200, 30)
    image[:, 4:] = 128
    points = apply(similarity(scale, 0, [-56 * scale, 0]), TEMPLATE)  # half of it to the left
    face = align(image, similarity_transform(points))
    assert face.shape == (FACE_SIZE, FACE_SIZE, 3)
    assert np.abs(face[60, :50].astype(int) - [10, 200, 30]).max() <= 1


def test_face_wholly_outside_does_not_fail():
    points = apply(similarity(5, 0, [5000, 5000]), TEMPLATE)
    assert align(soft_image(), similarity_transform(points)).shape == (FACE_SIZE, FACE_SIZE, 3)


def test_grey_image_and_other_size():
    assert align(soft_image()[..., 0], similarity_transform(TEMPLATE)).shape == (112, 112)
    assert align(soft_image(), similarity_transform(TEMPLATE), 56).shape == (56, 56, 3)
