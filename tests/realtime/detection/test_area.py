import numpy as np
import pytest

from realtime.detection.area import AreaSampler


def mean_over_bins(image, height, width):
    """Adaptive average pooling, written out."""
    rows, columns = image.shape[:2]
    result = np.empty((height, width, 3), np.float32)
    for y in range(height):
        for x in range(width):
            top, bottom = y * rows // height, -(-(y + 1) * rows // height)
            left, right = x * columns // width, -(-(x + 1) * columns // width)
            result[y, x] = image[top:bottom, left:right].mean(axis=(0, 1))
    return result


@pytest.mark.parametrize("size", [(13, 17), (31, 47), (1, 1), (40, 60)])
def test_resized_is_the_mean_over_each_bin(size):
    image = np.random.default_rng(0).integers(0, 256, (31, 47, 3), dtype=np.uint8)
    ours = AreaSampler(image).resized(*size)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, mean_over_bins(image, *size), rtol=1e-6)


def test_crops_are_resized_parts_of_the_image():
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    starts = np.array([[0, 0], [10, 20], [88, 59], [5, 7]])
    ends = np.array([[90, 60], [47, 55], [90, 60], [6, 60]])
    crops = AreaSampler(image).crops(starts, ends, 12)
    assert crops.shape == (4, 12, 12, 3) and crops.dtype == np.float32
    for crop, (x1, y1), (x2, y2) in zip(crops, starts, ends, strict=True):
        np.testing.assert_allclose(crop, mean_over_bins(image[y1:y2, x1:x2], 12, 12), rtol=1e-6)


def test_no_crops_of_no_rectangles():
    none = np.empty((0, 2), np.int64)
    sampler = AreaSampler(np.zeros((5, 5, 3), np.uint8))
    assert sampler.crops(none, none, 24).shape == (0, 24, 24, 3)


def test_sums_may_wrap_on_a_huge_bright_image():
    image = np.full((3000, 4000, 3), 255, np.uint8)
    sampler = AreaSampler(image)
    np.testing.assert_allclose(sampler.resized(90, 120), 255, rtol=1e-6)
    ends = np.array([[4000, 3000]])
    np.testing.assert_allclose(sampler.crops(ends - 100, ends, 24), 255, rtol=1e-6)
