import dataclasses
import json
import time

import pytest
import torch

import train.fit
from tests.train.training import assert_same_end, fit_interrupted, fit_options, read_rows
from train.data.prepared import read_prepared
from train.errors import UserError
from train.fit import fit, make_fabric, warm_average
from train.recipes.baseline import Baseline, BaselineOptions
from train.runs.checkpoint import load_state

SMALL = BaselineOptions(network="resnet10-half", dropout=0.1)


def test_the_tiny_task_is_learnt(tiny_run):
    rows = read_rows(tiny_run / "log.csv")

    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[-1]["loss_expression"]) < 0.6 * float(rows[0]["loss_expression"])
    assert max(float(row["accuracy"]) for row in rows) > 0.9
    assert (tiny_run / "curves.png").read_bytes()[:4] == b"\x89PNG"
    config = json.loads((tiny_run / "config.json").read_text())
    assert config["options"]["network"] == "resnet10-half" and config["fit"]["seed"] == 0


def test_a_resumed_run_equals_an_uninterrupted_one(tiny_data, tmp_path, monkeypatch):
    data = read_prepared(tiny_data)
    fit("baseline", fit_options(tiny_data, tmp_path / "whole"), SMALL, data, resume=False)
    fit_interrupted(
        monkeypatch, "baseline", fit_options(tiny_data, tmp_path / "broken"), SMALL, data
    )

    assert_same_end(tmp_path / "whole", tmp_path / "broken")


def test_resume_and_fresh_start_do_not_mix(tiny_data, tiny_run):
    data = read_prepared(tiny_data)
    with pytest.raises(UserError, match="already holds a run"):
        fit("baseline", fit_options(tiny_data, tiny_run), SMALL, data, resume=False)
    with pytest.raises(UserError, match="another fit.average, fit.epochs, options.dropout"):
        changed = dataclasses.replace(SMALL, mixup=0.0)
        fit("baseline", fit_options(tiny_data, tiny_run), changed, data, resume=True)


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(
    tiny_data, tmp_path, monkeypatch
):
    data, run = read_prepared(tiny_data), tmp_path / "run"
    soft_cross_entropy = train.recipes.baseline.soft_cross_entropy
    calls = iter(range(1000))

    def breaks_in_the_second_epoch(logits, target):
        return soft_cross_entropy(logits, target) * (1 if next(calls) < 4 else float("nan"))

    monkeypatch.setattr(train.recipes.baseline, "soft_cross_entropy", breaks_in_the_second_epoch)
    with pytest.raises(UserError, match="epoch 2.*checkpoint of the last good epoch is kept"):
        fit("baseline", fit_options(tiny_data, run, epochs=3), SMALL, data, resume=False)

    state = load_state(run / "last.safetensors")
    assert len(state["log"]) == 1
    assert all(tensor.isfinite().all() for tensor in state["recipe"]["networks"].values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_without_cuda_says_why():
    with pytest.raises(UserError, match="no CUDA device.*--device cpu"):
        make_fabric("cuda", "32-true")


def test_a_deadline_ends_the_run_after_the_epoch_and_resume_goes_on(tiny_data, tmp_path):
    data = read_prepared(tiny_data)
    how = fit_options(tiny_data, tmp_path / "run", batch_size=64)
    past = time.monotonic() - 1
    assert fit("baseline", how, SMALL, data, resume=False, deadline=past) == []
    assert not (how.run / "last.safetensors").exists()
    assert len(fit("baseline", how, SMALL, data, resume=False)) == 2


@pytest.mark.parametrize(("mean_class", "best"), [(0.0, 1), (0.4, 1), (0.6, 2), (1.0, 2)])
def test_mean_class_accuracy_may_choose_the_epoch(
    tiny_data, tmp_path, monkeypatch, mean_class, best
):
    scores = iter([(0.90, 0.60), (0.80, 0.70)])

    def validate(*_):
        return dict(zip(("accuracy", "mean_class_accuracy"), next(scores), strict=True))

    monkeypatch.setattr(Baseline, "validate", validate)
    how = fit_options(tiny_data, tmp_path / "run", batch_size=64, mean_class=mean_class)
    fit("baseline", how, SMALL, read_prepared(tiny_data), resume=False)
    assert load_state(how.run / "best.safetensors")["log"]["epoch"] == best


def test_a_loss_that_is_no_number_is_noticed_within_the_epoch(tiny_data, tmp_path, monkeypatch):
    data = read_prepared(tiny_data)
    steps = []
    step = Baseline.step

    def broken(self, batch):
        steps.append(batch)
        return {name: loss * float("nan") for name, loss in step(self, batch).items()}

    monkeypatch.setattr(Baseline, "step", broken)
    monkeypatch.setattr(train.fit, "CHECK_EVERY", 2)
    with pytest.raises(UserError, match="epoch 1"):
        fit("baseline", fit_options(tiny_data, tmp_path / "run"), SMALL, data, resume=False)
    assert len(steps) == 2


def test_the_average_is_exponential_and_forgets_faster_at_first():
    average, rates = warm_average(0.5), []
    for count in (1, 2, 8, 1000):
        old, steps = torch.tensor([1.0]), torch.tensor([3])
        average([old, steps], [torch.tensor([0.0]), torch.tensor([7])], torch.tensor(count))
        rates.append(old.item())
        assert steps.item() == 7, "counts are copied"
    assert rates == pytest.approx([2 / 11, 3 / 12, 0.5, 0.5])
