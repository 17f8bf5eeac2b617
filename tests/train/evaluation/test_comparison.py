import json

import numpy as np
import pytest

from tests.train.training import read_rows
from train.data.prepared import read_prepared
from train.errors import UserError
from train.evaluation.comparison import (
    Result,
    Spread,
    ablation_table,
    by_method,
    pose_curves,
    pose_table,
    read_result,
    summary_table,
    write_comparison,
)
from train.evaluation.cost import Cost, inference_cost
from train.evaluation.evaluate import evaluate_run
from train.files import save_figure
from train.plots import plot_curves, plot_tables
from train.recipes import RECIPES
from train.recipes.methods import METHODS, title_of

FACES = {"all": 100, ">10": 40, ">20": 20, ">30": 8, ">40": 0}


def result(recipe="baseline", seed=0, accuracy=0.8, off=(), **options) -> Result:
    switches = {} if recipe == "baseline" else {"pose": True, "confusion": True, "cos": True,
                                                "id": True, "discriminator": True}  # fmt: skip
    scores = {"accuracy": accuracy, "mean_class_accuracy": 0.5, ">10": accuracy - 0.1}
    scores |= {">20": accuracy - 0.2, ">30": accuracy - 0.3, ">40": None}
    everything = {"network": "small"} | switches | dict.fromkeys(off, False) | options
    confusion = np.eye(2, dtype=int)
    return Result(
        f"{recipe}-{seed}", recipe, everything, {"seed": seed, "epochs": 3}, ("a", "b"), confusion,
        scores, FACES, minutes=2.0 + seed,
    )  # fmt: skip


@pytest.fixture
def methods():
    accuracies = {"baseline": (0.80, 0.82, 0.84), "ipd_fer": (0.81, 0.85, 0.86)}
    runs = [result(name, seed, value) for name in accuracies
            for seed, value in enumerate(accuracies[name])]  # fmt: skip
    return by_method([*runs, result("ipd_fer", accuracy=0.79, off=("cos",))])


def test_spread_is_that_of_a_sample():
    assert Spread.of([0.8, 0.82, 0.84]) == Spread(pytest.approx(0.82), pytest.approx(0.02))
    assert Spread.of([0.8]) == Spread(0.8, None)
    assert Spread(0.1234, 0.01).percent("+") == "+12.34 ± 1.00"
    assert Spread(-0.005, None).percent("+") == "-0.50"


def test_the_gain_is_paired_by_seed(methods):
    baseline, ipd_fer, no_cos = methods
    assert ipd_fer.gain(baseline).mean == pytest.approx(0.02)
    differences = [0.01, 0.03, 0.02]
    assert ipd_fer.gain(baseline).deviation == pytest.approx(np.std(differences, ddof=1))
    assert no_cos.gain(baseline) == Spread(pytest.approx(-0.01), None), "of the seed they share"
    assert by_method([result(seed=7)])[0].gain(baseline) is None


def test_methods_have_their_names_and_order(methods):
    assert [method.title for method in methods] == ["baseline", "IPD-FER", "IPD-FER without L_cos"]
    assert title_of("ipd_fer", {"cos": False, "id": False}) == "IPD-FER without cos, id"
    assert title_of("other", {}) == "other"
    assert all(recipe in RECIPES for recipe, _ in METHODS.values())


def test_runs_of_a_method_differ_in_the_seed_alone():
    with pytest.raises(UserError, match="both baseline, but differ in dropout, network"):
        by_method([result(dropout=0.1), result(seed=1, dropout=0.2, network="large")])
    with pytest.raises(UserError, match="both baseline with one seed"):
        by_method([result(), result()])
    with pytest.raises(UserError, match="at least one"):
        by_method([])


def test_a_weight_of_0_is_the_same_method_as_its_switch():
    off = result("ipd_fer", off=("cos",), beta1=0.5)
    zero = result("ipd_fer", seed=1, beta1=0.0)
    (method,) = by_method([off, zero])
    assert method.title == "IPD-FER without L_cos" and len(method.results) == 2
    assert title_of("ipd_fer", {"lambda1": 0.0, "lambda2": 0.0}) == "IPD-FER without D"
    assert title_of("ipd_fer", {"lambda1": 0.0, "lambda2": 0.1}) == "IPD-FER"


def test_table_8s_form(methods):
    table = pose_table(methods)
    assert table.columns[:4] == ["Test set", "Number", "baseline", "IPD-FER"]
    assert table.rows[0] == ["All", "100", "82.00 ± 2.00", "84.00 ± 2.65", "79.00"]
    assert table.rows[1][:3] == ["Pose(>10°)", "40", "72.00 ± 2.00"]
    assert table.rows[4] == ["Pose(>40°)", "0", "–", "–", "–"]
    assert table.markdown().splitlines()[1] == "| --- | --- | --- | --- | --- |"


def test_table_9s_form_has_ipd_fer_alone(methods):
    id_fer = by_method([result("ipd_fer", seed=9, off=("pose",))])
    table = ablation_table([*methods, *id_fer])
    assert table.rows == [["✓", "✗", "✓", "✓", "79.00"], ["✓", "✓", "✓", "✓", "84.00 ± 2.65"]]


def test_the_whole_table_is_written_three_times(methods, tmp_path):
    costs = {method.title: Cost(2_800_000, 123_000_000, 4.56) for method in methods}
    text = write_comparison(methods, costs, "validation", tmp_path)

    assert (tmp_path / "table-validation.md").read_text() == text
    row = summary_table(methods, costs).rows[1]
    assert r"| \|yaw\| >10° (%) |" in text
    assert row[:3] == ["IPD-FER", "3", "84.00 ± 2.65"] and row[8] == "+2.00 ± 1.00"
    assert row[9:] == ["2.80", "123", "3.0", "4.6"]
    found = read_rows(tmp_path / "table-validation.csv")
    assert float(found[1]["gain_deviation"]) == pytest.approx(0.01) and found[0]["gain"] == ""
    whole = json.loads((tmp_path / "table-validation.json").read_text())
    assert len(whole["runs"]) == 7 and whole["runs"][4]["scores"]["accuracy"] == 0.85


def test_curves_and_tables_are_drawn(methods, tmp_path):
    curves, ticks = pose_curves(methods)
    assert ticks == ["all", ">10°", ">20°", ">30°", ">40°"] and np.isnan(curves["baseline"][0][4])
    save_figure(plot_curves(curves, ticks), tmp_path / "curves.png")
    tables = pose_table(methods), ablation_table(methods)
    drawn = plot_tables([(table.columns, table.rows) for table in tables])
    save_figure(drawn, tmp_path / "tables.png")
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in tmp_path.iterdir())


def test_results_come_from_what_evaluate_wrote(tiny_run, tiny_data):
    scores = evaluate_run(tiny_run, read_prepared(tiny_data), "validation", device="cpu")
    found = read_result(tiny_run, "validation")

    assert found.scores["accuracy"] == scores["expression"]["accuracy"]
    assert found.scores[">30"] == scores["accuracy_by_yaw"][">30"]["accuracy"]
    assert found.faces["all"] == 32 and found.confusion.sum() == 32
    seconds = [float(row["seconds"]) for row in read_rows(tiny_run / "log.csv")]
    assert found.minutes == pytest.approx(sum(seconds) / 60)
    with pytest.raises(UserError, match=f"train evaluate --run {tiny_run} --split train`"):
        read_result(tiny_run, "train")


def test_the_cost_is_that_of_the_expression_branch(tiny_run):
    cost = inference_cost(json.loads((tiny_run / "config.json").read_text()))
    # resnet10-half: a 3×3 stem from 1 to 32 channels, 28×28 pixels, then 14, 7, 4 and 2.
    stem = 28 * 28 * 9 * 32
    stages = 14 * 14 * 2 * 9 * 32 * 32
    for side, wide in ((7, 64), (4, 128), (2, 256)):
        stages += side * side * (9 * wide * wide // 2 + 9 * wide * wide + wide * wide // 2)
    assert cost.multiply_adds == stem + stages + 256 * 8
    assert 1.2e6 < cost.parameters < 1.3e6 and 0 < cost.milliseconds < 1000
