import json
from dataclasses import replace

import numpy as np
import pytest

from engine import registry
from engine.contract import EngineError
from engine.measure import check, check_detectors
from engine.measure.check_detectors import DetectorComparison, Promise
from engine.measure.face_data import FaceData
from tests.engine.face_models import random_faces

NETWORKS = ("mtcnn_pnet", "mtcnn_rnet", "mtcnn_onet")
PERFECT = DetectorComparison("a way", "", "fp16", 0.0, 0.0, 0.0, 0.0, 1.0, 0.5)


@pytest.fixture(scope="module")
def data():
    return FaceData(random_faces(1000))


def model_of(name):
    return registry.read(registry.find(name))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_of_mtcnn_can_be_checked(name, data):
    report = check.check(name, data, "onnxruntime", "cpu")
    (fp32,) = report.comparisons
    assert (fp32.way, fp32.same_decision, fp32.broken) == ("ONNX Runtime fp32", 1, [])
    assert fp32.score_max == fp32.place_max == 0 and report.kept
    assert f"{name}.onnx" in check.table(report) and "100.00%" in check.table(report)


def test_what_the_networks_look_at():
    faces = random_faces(2)
    assert check_detectors.pictures(model_of("mtcnn_pnet"), faces) is faces
    for name, side in (("mtcnn_rnet", 24), ("mtcnn_onet", 48)):
        seen = check_detectors.pictures(model_of(name), faces)
        assert (seen.shape, seen.dtype) == ((10, side, side, 3), np.uint8)
        corner = faces[1, :56, 56:].mean(axis=(0, 1))
        np.testing.assert_allclose(seen[5].mean(axis=(0, 1)), corner, atol=3)


def test_what_is_far_off_is_measured_and_breaks_the_promise():
    expected = {"scores": np.float32([0.1, 0.9]), "offsets": np.zeros((2, 4), np.float32)}
    moved = {"scores": np.float32([0.1, 0.6]), "offsets": np.full((2, 4), 0.2, np.float32)}
    found = check_detectors.compare("way", "", "fp16", moved, expected)
    assert (found.score_max, found.score_mean) == pytest.approx((0.3, 0.15))
    assert (found.place_max, found.same_decision, found.faces) == pytest.approx((0.2, 0.5, 0.5))
    assert found.broken == ["50.00% of the decisions are the same, not 99.8%"]


@pytest.mark.parametrize(
    ("promise", "found", "problem"),
    [
        (Promise(score=1e-4), {"score_max": 2e-4}, "a score is off by 0.0002, not 0.0001"),
        (Promise(score=1e-4), {"score_max": np.nan}, "a score is off by nan"),
        (Promise(place=1e-3), {"place_max": 0.5}, "a place is off by 0.5, not 0.001"),
        (Promise(same_decision=0.998), {"same_decision": 0.99}, "99.00% of the decisions are"),
    ],
)
def test_a_broken_promise_is_said(promise, found, problem):
    assert check_detectors.broken(promise, PERFECT) == []
    (said,) = check_detectors.broken(promise, replace(PERFECT, **found))
    assert problem in said


def test_every_shipped_network_is_checked(data, tmp_path):
    reports, left_out = check.check_every(data, "onnxruntime", "cpu", "fp32")
    assert {report.model for report in reports} == {
        f"{name}.onnx" for name in ("ipd_fer", *NETWORKS)
    }
    assert left_out == []
    check.write_json(tmp_path / "check.json", *reports)
    written = json.loads((tmp_path / "check.json").read_text())
    assert written["model"] == "ipd_fer.onnx" and written["kept"] is True
    assert [other["model"] for other in written["others"]] == [one.model for one in reports[1:]]


@pytest.mark.slow
def test_networks_that_the_options_leave_out_are_named(data):
    reports, left_out = check.check_every(data, "onnxruntime", "cpu", "int8")
    assert [report.model for report in reports] == ["ipd_fer.onnx"]
    assert len(left_out) == 3 and "mtcnn_onet: mtcnn_onet.int8.onnx" in left_out[0]
    with pytest.raises(EngineError, match="^ipd_fer: ONNX Runtime computes ipd_fer.onnx in fp32"):
        check.check_every(data, "onnxruntime", "cpu", "bf16")
