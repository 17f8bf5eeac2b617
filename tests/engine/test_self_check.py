import numpy as np
import pytest

from engine import self_check
from engine.backends import EngineError, TensorInfo


class Answers:
    """A session with fixed outputs."""

    precision = "int8"
    inputs = ()

    def __init__(self, **outputs):
        self.outputs = {name: np.array(value, np.float32) for name, value in outputs.items()}

    def run(self, arrays):
        return self.outputs


def test_pictures_look_like_the_inputs_and_are_always_the_same():
    infos = (
        TensorInfo("faces", np.dtype(np.uint8), ("batch", 112, 112, 3)),
        TensorInfo("frames", np.dtype(np.float32), ("batch", "height", "width", 3)),
        TensorInfo("pair", np.dtype(np.float32), (2, 24, 24, 3)),
        TensorInfo("values", np.dtype(np.int64), ("batch", 5)),
    )
    shapes = [(3, 112, 112, 3), (3, 120, 160, 3), (2, 24, 24, 3), (3, 5)]
    pictures = self_check.pictures(infos)
    for info, shape in zip(infos, shapes):
        assert (pictures[info.name].dtype, pictures[info.name].shape) == (info.dtype, shape)
        np.testing.assert_array_equal(pictures[info.name], self_check.pictures((info,))[info.name])
    faces = pictures["faces"].astype(float)
    assert faces.std() > 20 and np.abs(faces[0] - faces[1]).mean() > 5
    # Eyes are darker than the cheeks below them.
    assert faces[:, 52, 38].mean() < faces[:, 75, 38].mean() - 30


def test_difference_is_a_part_of_the_largest_value_or_of_one():
    reference = {"probability": np.array([0.2, 0.8]), "angle": np.array([10.0, -50.0])}
    close = Answers(probability=[0.21, 0.79], angle=[10, -50])
    assert self_check.run(close, reference) == pytest.approx(0.01)
    turned = Answers(probability=[0.2, 0.8], angle=[10, -45])
    assert self_check.run(turned, reference) == pytest.approx(0.1)


@pytest.mark.parametrize("broken", [np.nan, np.inf, 0.5])
def test_what_is_too_far_fails(broken):
    outputs = Answers(probability=[0.2, broken])
    with pytest.raises(EngineError, match="failed its self-check on this machine: its outputs are"):
        self_check.run(outputs, {"probability": np.array([0.2, 0.8])})
