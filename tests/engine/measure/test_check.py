import json
from dataclasses import replace

import numpy as np
import onnx
import pytest

from engine.contract import EngineError
from engine.measure import check
from engine.measure.check import Comparison, Promise
from engine.measure.face_data import FaceData
from engine.session import open_session
from tests.engine.face_models import LABELS, face_model, random_faces

PERFECT = Comparison("a way", "", "int8", 0.0, 0.0, 0.0, 0.0, 1.0, 0.8)


@pytest.fixture(scope="module")
def faces():
    return random_faces(1000)


@pytest.fixture
def report(int8_files, faces):
    with open_session(int8_files / "face.onnx", "onnxruntime", "cpu", "fp32") as session:
        found = session.run({"faces": faces})["expression"].argmax(axis=1)
    labels = [LABELS[index] for index in found]
    labels[:100] = [""] * 100
    wrong = {label: LABELS[(index + 1) % 4] for index, label in enumerate(LABELS)}
    labels[100:190] = [wrong[label] for label in labels[100:190]]
    data = FaceData(faces, labels)
    return check.check(int8_files / "face.onnx", data, "onnxruntime", "cpu")


def test_compares_every_way_with_the_reference(report):
    assert [one.way for one in report.comparisons] == ["ONNX Runtime fp32", "ONNX Runtime int8"]
    fp32, int8 = report.comparisons
    assert fp32.probability_max == fp32.pose_max == 0 and fp32.same_label == 1
    assert fp32.accuracy == pytest.approx(0.9)  # of the 900 with a label
    assert 0 < int8.probability_mean < int8.probability_max < 0.1
    assert 0 < int8.pose_mean < int8.pose_max
    assert (report.faces, report.model) == (1000, "face.onnx")
    assert "ONNX Runtime int8" in check.table(report) and "90.00%" in check.table(report)


def test_writes_what_it_found(report, tmp_path):
    check.write_json(tmp_path / "check.json", report)
    written = json.loads((tmp_path / "check.json").read_text())
    assert written["kept"] == report.kept
    assert written["comparisons"][1]["same_label"] == report.comparisons[1].same_label


@pytest.mark.parametrize(
    ("promise", "found", "lost", "problem"),
    [
        (Promise(probability=1e-4), {"probability_max": 2e-4}, None, "off by 0.0002, not 0.0001"),
        (Promise(probability=1e-4), {"probability_max": np.nan}, None, "off by nan"),
        (Promise(pose=1e-2), {"pose_max": 0.5}, None, "an angle is off by 0.5°"),
        (Promise(same_label=0.99), {"same_label": 0.98}, None, "98.00% have the same label"),
        (Promise(lost_accuracy=0.003), {}, 0.004, "0.40% of accuracy are lost, not 0.3%"),
    ],
)
def test_a_broken_promise_is_said(promise, found, lost, problem):
    assert check._broken(promise, PERFECT, 0.0) == []
    (said,) = check._broken(promise, replace(PERFECT, **found), lost)
    assert problem in said


def test_a_broken_promise_is_in_the_table_and_in_the_verdict(report):
    assert report.kept == (not report.comparisons[1].broken)
    broken = replace(report.comparisons[1], broken=["nothing is right"])
    failed = replace(report, comparisons=[report.comparisons[0], broken])
    assert not failed.kept
    assert "    broken: nothing is right" in check.table(failed)


def test_what_cannot_be_checked(int8_files, model_file, faces):
    with pytest.raises(EngineError, match="999 faces are too few .*: give 1000 or more"):
        check.check(int8_files / "face.onnx", FaceData(faces[:999]))
    for path in (model_file, int8_files / "face.int8.onnx"):
        with pytest.raises(EngineError, match="is no fp32 face model"):
            check.check(path, FaceData(faces))


def test_without_labels_there_is_no_accuracy(tmp_path, faces):
    onnx.save(face_model(), tmp_path / "face.onnx")
    report = check.check(tmp_path / "face.onnx", FaceData(faces), "onnxruntime", "cpu")
    assert report.kept and report.comparisons[0].accuracy is None


def test_where_no_way_works_the_reason_is_told(int8_files, faces, only_onnx_runtime):
    with pytest.raises(EngineError, match="OpenVINO is not installed: install it with"):
        check.check(int8_files / "face.onnx", FaceData(faces), "openvino")
