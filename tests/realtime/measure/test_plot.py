import cv2
import numpy as np

from realtime.measure.plot import plot, png


def stage(seconds, count=100) -> np.ndarray:
    return np.column_stack([np.arange(count), np.broadcast_to(seconds, count)])


def heights(image, color) -> float:
    """The mean row of what is drawn in a colour, below the names."""
    return np.nonzero(np.abs(image[60:].astype(int) - color).sum(axis=2) < 120)[0].mean()


def test_a_slow_stage_lies_above_a_quick_one():
    image = plot({"refine": stage(0.001), "search": stage(0.004), "detect": stage(0.1, 3)})
    assert image.dtype == np.uint8 and image.shape[2] == 3
    blue, orange = (heights(image, color) for color in ((31, 119, 180), (255, 127, 14)))
    assert blue > orange + 100, "three long frames do not flatten the rest"


def test_a_long_run_and_none_at_all_can_be_drawn():
    random = np.random.default_rng(0).random(9999)
    assert plot({"refine": stage(random, 9999)}).std() > 0
    assert plot({"refine": stage(0.0, 1)}).std() > 0
    assert plot({}).min() == 255


def test_the_picture_keeps_its_colours():
    image = plot({"refine": stage(0.001)})
    stored = cv2.imdecode(np.frombuffer(png(image), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(stored[:, :, ::-1], image)
