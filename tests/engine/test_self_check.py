import numpy as np
import pytest

from engine import registry, self_check
from engine.contract import EngineError, TensorInfo
from engine.session import open_session
from tests.engine.saturating import evaluator


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
    for info, shape in zip(infos, shapes, strict=True):
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
    turned = Answers(probability=[0.2, 0.8], angle=[10, -47])
    assert self_check.run(turned, reference) == pytest.approx(0.06)


@pytest.mark.parametrize("broken", [np.nan, np.inf, 0.5])
def test_what_is_too_far_fails(broken):
    outputs = Answers(probability=[0.2, broken])
    with pytest.raises(EngineError, match="failed its self-check on this machine: its outputs are"):
        self_check.run(outputs, {"probability": np.array([0.2, 0.8])})


@pytest.fixture(scope="module")
def shipped():
    """Of the shipped face model: inputs, and what fp32 and INT8 give for the drawn faces."""
    with (
        open_session("ipd_fer", "onnxruntime", "cpu", "fp32") as fp32,
        open_session("ipd_fer", "onnxruntime", "cpu", "int8") as int8,
    ):
        pictures = self_check.pictures(fp32.inputs)
        return fp32.inputs, fp32.run(pictures), int8.run(pictures)


class Emulated:
    """A session of the shipped INT8 model on a processor whose sums of products stop at `limit`."""

    precision = "int8"

    def __init__(self, inputs, limit):
        self.inputs = inputs
        path = registry.find("ipd_fer.int8")
        self._evaluator = evaluator(path.read_bytes(), limit)

    def run(self, arrays):
        names = ["expression", "pose"]
        return dict(zip(names, self._evaluator.run(names, arrays), strict=True))


def test_the_shipped_int8_model_passes_with_room(shipped):
    _, fp32, int8 = shipped
    assert self_check.run(Answers(**int8), fp32) < 0.6 * self_check.TOLERANCES["int8"]


@pytest.mark.slow
def test_int8_with_sums_of_16_bits_is_right_and_passes(shipped):
    """As processors without VNNI have them."""
    inputs, fp32, int8 = shipped
    emulated = Emulated(inputs, limit=32767)
    outputs = emulated.run(self_check.pictures(inputs))
    for name, output in outputs.items():
        np.testing.assert_allclose(output, int8[name], atol=8e-3)
    assert self_check.run(Answers(**outputs), fp32) < self_check.TOLERANCES["int8"]


@pytest.mark.slow
@pytest.mark.parametrize("limit", [8191, 2047, 127])
def test_int8_whose_sums_overflow_fails(shipped, limit):
    inputs, fp32, _ = shipped
    with pytest.raises(EngineError, match="failed its self-check on this machine"):
        self_check.run(Emulated(inputs, limit), fp32)


@pytest.mark.parametrize("points", [0.075, 0.1, 0.149])
def test_int8_a_dozen_percentage_points_off_fails(shipped, points):
    _, fp32, _ = shipped
    moved = {name: output.copy() for name, output in fp32.items()}
    moved["expression"][0, :2] += np.float32([-points, points])
    with pytest.raises(EngineError, match="failed its self-check"):
        self_check.run(Answers(**moved), fp32)
