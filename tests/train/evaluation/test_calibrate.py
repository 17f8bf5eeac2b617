import dataclasses
import json
import shutil

import numpy as np
import pytest

from engine.session import open_session
from train.__main__ import main
from train.data.prepared import read_prepared
from train.errors import UserError
from train.evaluation.calibrate import (  # fmt: skip
    TAUS,
    calibrate_run,
    choose_offset,
    choose_tau,
    fit_temperature,
    negative_log_likelihood,
    recalibrated,
    report,
    tau_sweep,
    training_prior,
)
from train.evaluation.evaluate import evaluate_run
from train.evaluation.strangers import Strangers
from train.export.face import export_run
from train.metrics import calibration_error
from train.runs.decision import Decision, read_decision


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def drawn(probabilities, random):
    """One label a row, drawn from the row's probabilities: so they are calibrated by definition."""
    return (probabilities.cumsum(axis=1) > random.random((len(probabilities), 1))).argmax(axis=1)


@pytest.fixture(scope="module")
def calibrated():
    random = np.random.default_rng(0)
    logits = 1.5 * random.standard_normal((40_000, 8))
    return logits, drawn(softmax(logits), random)


@pytest.mark.parametrize("scale", [3.0, 1.0, 0.4])
def test_scaled_logits_give_their_scale_as_temperature(calibrated, scale):
    logits, label = calibrated
    raw = softmax(scale * logits)

    temperature = fit_temperature(raw, label)

    assert temperature == pytest.approx(scale, rel=0.03)
    decided = Decision(temperature).apply(raw)
    np.testing.assert_allclose(decided, softmax(logits * scale / temperature), rtol=1e-6)
    assert calibration_error(decided, label) < 0.01
    assert (decided.argmax(axis=1) == raw.argmax(axis=1)).all(), "no temperature changes a decision"


def test_calibration_error_by_hand():
    probabilities = np.array([[0.95, 0.05]] * 10 + [[0.4, 0.6]] * 10)
    label = np.array([0] * 7 + [1] * 3 + [1] * 8 + [0] * 2)

    # 0.95 against 70 % right and 0.6 against 80 % right, ten faces each.
    assert calibration_error(probabilities, label) == pytest.approx((0.25 + 0.2) / 2)
    assert calibration_error(np.eye(2)[[0, 1]], np.array([0, 1])) == 0


def test_dividing_by_the_prior_gives_the_balanced_decision_back():
    """Faces x ~ N(centre of their class, 1), classes in shares π. The best network outputs
    π_k p(x|k) / Σ π_j p(x|j); dividing by π leaves the decision for classes of equal shares."""
    random = np.random.default_rng(1)
    prior, centres = np.array([0.7, 0.2, 0.07, 0.03]), np.array([0.0, 1.5, 3.0, -1.5])
    label = random.choice(4, 60_000, p=prior)
    x = centres[label] + random.standard_normal(len(label))
    density = np.exp(-0.5 * (x[:, None] - centres) ** 2)
    output = prior * density / (prior * density).sum(axis=1, keepdims=True)

    balanced = Decision(1.0, 1.0, tuple(prior)).apply(output)

    np.testing.assert_allclose(balanced, density / density.sum(axis=1, keepdims=True), atol=1e-9)
    tau = choose_tau(tau_sweep(output, label, 1.0, tuple(prior)), max_loss=100)
    assert tau == pytest.approx(1.0, abs=0.15)


def test_the_prior_is_divided_out_after_the_temperature():
    prior, raw = (0.8, 0.2), np.array([[0.9, 0.1]])
    expected = raw**0.5 / np.array(prior) ** 0.7

    decided = Decision(2.0, 0.7, prior).apply(raw)

    np.testing.assert_allclose(decided, expected / expected.sum(), rtol=1e-12)
    np.testing.assert_allclose(Decision().apply(np.array([[1.0, 0.0]])), [[1, 0]], atol=1e-12)


def test_the_balanced_decision_is_calibrated_again(calibrated):
    logits, label = calibrated
    prior = tuple(np.arange(1, 9) / 36)
    corrected = Decision(2.0, 0.5, prior)

    again = recalibrated(corrected, softmax(logits), label)

    assert again.temperature * again.tau == pytest.approx(2.0 * 0.5)
    one, other = (decision.apply(softmax(logits)) for decision in (corrected, again))
    assert (one.argmax(axis=1) == other.argmax(axis=1)).all()
    assert negative_log_likelihood(other, label) <= negative_log_likelihood(one, label)
    assert calibration_error(other, label) < 0.03 < calibration_error(one, label)


def test_the_strength_keeps_within_the_points_that_may_be_lost():
    sweep = [
        {"tau": 0.0, "accuracy": 0.86, "mean_class_accuracy": 0.60},
        {"tau": 0.5, "accuracy": 0.85, "mean_class_accuracy": 0.70},
        {"tau": 1.0, "accuracy": 0.84, "mean_class_accuracy": 0.75},
        {"tau": 1.5, "accuracy": 0.86, "mean_class_accuracy": 0.70},
    ]
    assert choose_tau(sweep, 1.0) == 0.5
    assert choose_tau(sweep, 2.0) == 1.0
    assert TAUS[0] == 0, "the uncorrected decision must be among those compared"


def test_happiness_is_raised_as_far_as_resting_strangers_and_accuracy_allow(calibrated):
    """Strangers rest at log-odds of −4 and smile at −1: an offset between 1 and 4 tells them."""
    logits, label = calibrated
    raw, prior = softmax(logits[:4000]), tuple(np.full(8, 1 / 8))
    odds = np.concatenate([np.full(50, -4.0), np.full(50, -1.0)])
    seen = np.full((100, 8), 1e-9)
    seen[:, 1] = 1 / (1 + np.exp(-odds))
    seen[:, 0] = 1 - seen[:, 1]
    strangers = Strangers(seen, 0, 1, odds > -2, {})

    free = choose_offset(strangers, raw, label[:4000], Decision(1.0, 0.0, prior), max_loss=100)
    assert 0.9 < free.offset[1] < 4 and not any(free.offset[2:])
    assert strangers.decided(free).kept() == strangers.decided(free).found() == 1

    bound = choose_offset(strangers, raw, label[:4000], Decision(1.0, 0.0, prior), max_loss=0.3)
    assert bound.offset[1] < 0.9, "which costs more than that of accuracy"
    again = recalibrated(free, raw, label[:4000])
    one, other = (decision.apply(raw).argmax(axis=1) for decision in (free, again))
    assert (one == other).all(), "another temperature leaves the winners"


@pytest.fixture(scope="module")
def run(tiny_run, tiny_data, tmp_path_factory):
    """A copy of the tiny run, calibrated."""
    folder = tmp_path_factory.mktemp("calibrated") / "run"
    shutil.copytree(tiny_run, folder)
    assert main(["calibrate", "--run", str(folder), "--data", str(tiny_data)]) == 0
    return folder


def test_calibration_is_written_and_read(run, tiny_data):
    data = read_prepared(tiny_data)
    calibration = json.loads((run / "calibration.json").read_text())

    prior = training_prior(data)
    # 64 training faces, 16 in each of the first four classes, and one added to each of eight.
    np.testing.assert_allclose(prior, [17 / 72] * 4 + [1 / 72] * 4)
    assert calibration["split"] == "validation" and calibration["faces"] == 32
    chosen = calibration["decisions"]
    assert read_decision(run, "data") == Decision(chosen["data"]["temperature"], 0.0, prior)
    assert read_decision(run, "balanced").tau == chosen["balanced"]["tau"]
    assert chosen["uncalibrated"]["temperature"] == 1.0
    assert "contempt" in report(calibration)


def test_evaluation_uses_the_decision_asked_for(run, tiny_data):
    data = read_prepared(tiny_data)
    scores = evaluate_run(run, data, "validation", "cpu", "balanced")

    assert scores["temperature"] == read_decision(run, "balanced").temperature
    saved = json.loads((run / "calibration.json").read_text())["decisions"]["balanced"]
    assert scores["calibration_error"] == pytest.approx(saved["calibration_error"])
    assert (run / "evaluation-validation-balanced.json").exists()


@pytest.mark.parametrize(
    "prior",
    [
        None,  # balanced, as the run is calibrated
        pytest.param("balanced", marks=pytest.mark.slow),
        pytest.param("data", marks=pytest.mark.slow),
    ],
)
def test_the_exported_graph_holds_the_decision(prior, run, exported, tiny_data, tmp_path):
    strong = json.loads((run / "calibration.json").read_text())
    strong["decisions"]["data"] |= {"temperature": 1.7}
    strong["decisions"]["balanced"] |= {"temperature": 1.7, "tau": 0.8}
    (run / "calibration.json").write_text(json.dumps(strong))
    faces = np.repeat(np.array(read_prepared(tiny_data).faces[:16]), 3, axis=3)
    with open_session(exported.path) as session:
        undecided = session.run({"faces": faces})["expression"]
        assert not json.loads(session.metadata["decision"])["calibrated"]

    with open_session(export_run(run, tmp_path / "model.onnx", prior)) as session:
        found = session.run({"faces": faces})["expression"]
        metadata = json.loads(session.metadata["decision"])

    assert metadata["temperature"] == 1.7
    assert metadata["tau"] == (0.0 if prior == "data" else 0.8)
    assert metadata["calibrated"] and len(metadata["prior_shares"]) == 8
    expected = undecided ** (1 / 1.7)
    if prior != "data":
        expected = expected / np.array(read_decision(run, "data").prior) ** 0.8
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_what_is_missing_is_named(tiny_run, run, tmp_path):
    with pytest.raises(UserError, match="--prior balanced needs"):
        read_decision(tiny_run, "balanced")
    with pytest.raises(UserError, match="no decision for strangers.*--strangers"):
        read_decision(run, "strangers")
    assert read_decision(tiny_run, "data") == Decision()
    stale = tmp_path / "stale"
    shutil.copytree(run, stale)
    (stale / "best.safetensors").write_bytes(b"another epoch")
    with pytest.raises(UserError, match="earlier best epoch.*calibrate` again"):
        read_decision(stale, "data")


def test_a_run_of_other_classes_is_refused(run, tiny_data):
    data = dataclasses.replace(read_prepared(tiny_data), classes=("yes", "no"))
    with pytest.raises(UserError, match="the prepared data has yes, no"):
        calibrate_run(run, data, 1.0, "cpu")
    data = read_prepared(tiny_data)
    data = data.only(data.rows("train"))
    with pytest.raises(UserError, match="no validation faces"):
        calibrate_run(run, data, 1.0, "cpu")
