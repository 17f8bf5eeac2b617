"""Whole runs of TDGAN, and its place among the methods; its updates are in test_tdgan."""

import dataclasses

import numpy as np
import pytest
import torch
import tyro
from tyro.conf import OmitArgPrefixes

from tests.train.recipes.test_tdgan import OPTIONS, make_batch, make_recipe
from tests.train.training import (
    STILL,
    assert_file_agrees,
    assert_same,
    assert_same_end,
    fit_interrupted,
    fit_options,
)
from train.__main__ import main
from train.data.people import People
from train.data.prepared import read_prepared
from train.errors import UserError
from train.export.face import export_run
from train.fit import Fit, fit
from train.recipes.baseline import BaselineOptions
from train.recipes.methods import METHODS, title_of
from train.recipes.tdgan import TdganOptions
from train.reproduce import PAPER, SMALL, Reproduce
from train.runs.load import load_model


@pytest.mark.slow
def test_64_faces_are_learnt(data, people):
    """All of it at once: E_e and M_ER know the expressions, D_e finds them in made faces, and both
    inputs are made again better and better."""
    batch = make_batch(data, 64)
    assert len(batch.faces) == 64
    recipe = make_recipe(
        data, people, "bf16-mixed", augmentation=STILL, schedule="paper", generator_rate=1e-3
    )
    log = [recipe.step(batch) for _ in range(26)]
    first, last = ({name: loss.item() for name, loss in row.items()} for row in (log[0], log[-1]))
    assert last["consistency"] < 0.9 * first["consistency"]
    assert last["expression_of_made"] < 0.5 * first["expression_of_made"]
    assert last["perceptual"] < 0.8 * first["perceptual"]
    assert last["expression"] < 0.05 * first["expression"]
    with torch.no_grad():  # by the batch's statistics: the running ones lag behind
        found = recipe.model(batch.faces).expression.argmax(dim=1)
    assert (found == batch.label).float().mean() == 1


@pytest.fixture(scope="module")
def options(people):
    return dataclasses.replace(OPTIONS, faces=people, dropout=0.1)


@pytest.fixture(scope="module")
def run(tiny_data, data, options, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tdgan"
    fit("tdgan", fit_options(tiny_data, folder, batch_size=32), options, data, resume=False)
    return folder


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(
    run, tiny_data, data, options, tmp_path, monkeypatch
):
    how = fit_options(tiny_data, tmp_path / "broken", batch_size=32)
    fit_interrupted(monkeypatch, "tdgan", how, options, data)
    whole, broken = assert_same_end(run, how.run, "networks")
    for name, optimizer in whole["optimizers"].items():
        for index, moments in optimizer["state"].items():
            assert_same(moments, broken["optimizers"][name]["state"][index])


@pytest.mark.slow
def test_what_is_kept_is_one_branch_and_the_pose_and_exports(
    tiny_data, data, options, tmp_path, unrounded
):
    how = fit_options(tiny_data, tmp_path / "run", epochs=1, batch_size=64)
    fit("tdgan", how, options, data, resume=False)
    model, config = load_model(how.run)
    assert config["recipe"] == "tdgan"
    parts = {name.split(".")[0] for name in model.state_dict()}
    assert parts <= {"expression", "pose", "expression_input"}
    path = export_run(how.run, tmp_path / "tdgan.onnx")
    assert_file_agrees(path, model, np.array(data.faces[:3]))
    assert (how.run / "faces-1.png").read_bytes()[:4] == b"\x89PNG"


# Its place among the methods.


def test_the_methods_have_their_names():
    def title(**off):
        return title_of("tdgan", {"gan": True, "dic": True} | off)

    assert title() == METHODS["tdgan"][1].title == "TDGAN"
    assert title(dic=False) == METHODS["tdgan_no_dic"][1].title == "TDGAN without DIC"
    assert title(gan=False) == METHODS["tdgan_base"][1].title == "TDGAN's CNN-Base"


def test_reproduce_gives_it_the_budget_of_all(people):
    command = Reproduce(faces=people)
    found = {name: command._options(name, 0)[1] for name in METHODS if name.startswith("tdgan")}
    for options in found.values():
        assert (options.network, options.rate, options.faces) == (
            "inception-56",
            SMALL.rate,
            people,
        )
        assert options.decoder_width == SMALL.decoder_width
    assert not found["tdgan_base"].gan and not found["tdgan_no_dic"].dic and found["tdgan"].dic
    paper = Reproduce(faces=people, paper=True)._options("tdgan", 0)[1]
    assert (paper.network, paper.rate, paper.decoder_width) == ("inception", PAPER.rate, None)


def test_what_is_missing_is_said_before_anything_is_trained(tiny_data, tmp_path, capsys):
    arguments = ["--data", str(tiny_data), "--output", str(tmp_path / "out")]
    assert main(["reproduce", "ferplus", *arguments, "--methods", "baseline", "tdgan"]) == 1
    assert "TDGAN needs --faces" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    Reproduce()._options("tdgan_base", 0)


def test_the_switches_of_the_command_line():
    arguments = "--data d --run r --no-gan --no-dic --faces people --network inception".split()
    options = tyro.cli(OmitArgPrefixes[Fit[TdganOptions]], args=arguments).options
    assert not options.gan and not options.dic and options.network == "inception"
    assert BaselineOptions().dropout == options.dropout


def test_what_cannot_be_trained_is_one_clear_line(data, people, tiny_data):
    with pytest.raises(UserError, match="TDGAN needs --faces.*prepare people"):
        make_recipe(data, None)
    with pytest.raises(UserError, match="--mixup is for --no-gan alone"):
        make_recipe(data, people, mixup=0.2)
    with pytest.raises(UserError, match="needs an encoder with square maps"):
        make_recipe(data, people, network="mobilefacenet")
    one = dataclasses.replace(read_prepared(people), label=np.zeros(24, dtype=np.int64))
    with pytest.raises(UserError, match="several people"):
        People(one)
