import copy
import dataclasses

import numpy as np
import pytest
import torch
import tyro
from torch import nn
from tyro.conf import OmitArgPrefixes

import train.figures.fdrl as figures
import train.recipes.fdrl as equations
from engine.session import open_session
from tests.train.training import STILL, assert_same_end, fit_interrupted, fit_options
from train.__main__ import main
from train.data.batches import FaceDataset
from train.errors import UserError
from train.evaluation.calibrate import calibrate_run
from train.evaluation.cost import inference_cost
from train.evaluation.evaluate import evaluate_run
from train.evaluation.robustness import measure_robustness
from train.export.face import ExportedModel, export_run
from train.figures.embedding import expression_features
from train.fit import Fit, fit, make_fabric
from train.recipes.fdrl import Fdrl, FdrlOptions
from train.recipes.methods import title_of
from train.recipes.schedules import make_schedule
from train.reproduce import PAPER, Reproduce
from train.runs.checkpoint import load_state
from train.runs.decision import read_decision
from train.runs.load import load_model

OPTIONS = FdrlOptions(network="resnet10-half", schedule="one-cycle", rate=3e-3)


def make_recipe(data, **changes) -> Fdrl:
    torch.manual_seed(0)
    recipe = Fdrl(dataclasses.replace(OPTIONS, **changes), data.classes)
    recipe.setup(make_fabric("cpu", "32-true"), steps=100)
    recipe.model.train()
    return recipe


def make_batch(data, count=8):
    return FaceDataset(data, data.rows("train")).__getitems__(list(range(count)))


def test_the_defaults_are_the_papers():
    options = FdrlOptions()
    assert (options.latents, options.latent_dim, options.delta) == (9, 128, 0.5)
    assert (options.lambda1, options.lambda2, options.lambda3) == (1e-4, 1, 1e-4)
    assert (options.rate, options.schedule, options.decay) == (1e-4, "fdrl", 0)
    assert options.hard_labels and options.mixup == options.dropout == 0
    assert options.fdn and options.intra and options.inter


def test_the_optimizer_and_its_schedule_are_the_papers(data):
    recipe = make_recipe(data, schedule="fdrl", rate=1e-4)
    assert recipe.optimizers["model"].param_groups[0]["betas"] == (0.5, 0.999)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1e-4)
    schedule, rates = make_schedule("fdrl", optimizer, steps=40), []
    for _ in range(40):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    expected = [1e-4] * 10 + [1e-5] * 8 + [1e-6] * 7 + [1e-7] * 7 + [1e-8] * 8
    assert rates == pytest.approx(expected)


# The training step.


def moved_by_a_step(recipe, data) -> tuple[set[str], dict[str, float]]:
    """Names of the parts that a step changes, and its losses."""
    parts = dict(recipe.model.expression.named_children()) | {"pose": recipe.model.pose}
    parts |= {"latent centres": recipe.latent_centres, "class centres": recipe.class_centres}
    parts = {name: part for name, part in parts.items() if part.state_dict()}
    before = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
    losses = recipe.step(make_batch(data))
    moved = {name for name, part in parts.items()
             if any(not torch.equal(value, before[name][key])
                    for key, value in part.state_dict().items())}  # fmt: skip
    return moved, {name: loss.item() for name, loss in losses.items()}


SHARED = {"encoder", "classifier", "pose"}
POSE = {"yaw_bin", "pose"}


@pytest.mark.parametrize(
    ("off", "moved", "losses"),
    [
        ("", {"decompose", "intra", "inter", "latent centres", "class centres"},
         {"expression", "compactness", "balance", "distribution"}),
        ("inter", {"decompose", "intra", "latent centres", "class centres"},
         {"expression", "compactness", "balance", "distribution"}),
        ("intra", {"decompose", "inter", "latent centres"}, {"expression", "compactness"}),
        ("intra inter", {"decompose", "latent centres"}, {"expression", "compactness"}),
        ("fdn intra inter", set(), {"expression"}),
    ],
)  # fmt: skip
def test_each_switch_takes_out_its_module_and_its_losses(off, moved, losses, data):
    recipe = make_recipe(data, **dict.fromkeys(off.split(), False))
    found_moved, found_losses = moved_by_a_step(recipe, data)
    assert found_moved == SHARED | moved
    assert set(found_losses) == POSE | losses


def test_what_goes_down_is_equation_13_and_the_pose(data, monkeypatch):
    recipe, sums = make_recipe(data, lambda1=0.3, lambda2=0.02, lambda3=0.5), []
    monkeypatch.setattr(recipe.fabric, "backward", lambda total: sums.append(total.item()))
    _, losses = moved_by_a_step(recipe, data)
    weights = {"compactness": 0.3, "balance": 0.02, "distribution": 0.5}
    expected = sum(weights.get(name, 1) * loss for name, loss in losses.items())
    assert sums == [pytest.approx(expected)]


def test_no_gradient_reaches_the_centres_and_the_losses_see_them_before_they_move(data):
    recipe, batch = make_recipe(data), make_batch(data)
    pixels = recipe.model.expression_input(batch.faces)
    recipe.class_centres.values += 3
    with torch.no_grad():
        found = recipe.model.expression.analyse(pixels)
    losses = recipe.expression_losses(pixels, batch.target, batch.label)
    assert losses["compactness"].item() == pytest.approx(
        equations.compactness_loss(found.latent, torch.zeros(9, 128)).item(), rel=1e-4
    )
    assert losses["distribution"].item() == pytest.approx(
        equations.distribution_loss(found.intra_weights, batch.label, torch.full((8, 9), 3.0))
        .item(), rel=1e-4)  # fmt: skip
    sum(losses.values()).backward()
    assert not any(values.requires_grad for values in recipe.centres.buffers())
    assert not list(recipe.centres.parameters())

    # Eight faces of each latent feature; of a class, those that have it.
    np.testing.assert_allclose(
        recipe.latent_centres.values, 0.5 * found.latent.sum(dim=0) / 9, rtol=1e-3, atol=1e-4
    )
    own = found.intra_weights[batch.label == 0]
    np.testing.assert_allclose(
        recipe.class_centres.values[0], 3 + 0.5 * (own - 3).sum(dim=0) / (1 + len(own)),
        rtol=1e-3)  # fmt: skip
    assert (recipe.class_centres.values[7] == 3).all(), "no face of contempt in the batch"


def test_each_loss_reaches_what_it_is_about(data):
    recipe, batch = make_recipe(data), make_batch(data)
    branch, pixels = recipe.model.expression, recipe.model.expression_input(batch.faces)
    reached = {}
    for name in ("expression", "compactness", "balance", "distribution"):
        recipe.model.zero_grad()
        recipe.expression_losses(pixels, batch.target, batch.label)[name].backward()
        reached[name] = {part for part, module in branch.named_children()
                         if any(p.grad is not None and p.grad.any()
                                for p in module.parameters())}  # fmt: skip
    fdn = {"encoder", "decompose"}
    assert reached["compactness"] == fdn
    assert reached["balance"] == reached["distribution"] == fdn | {"intra"}
    assert reached["expression"] == fdn | {"intra", "inter", "classifier"}


def test_labels_are_the_majority_or_the_votes(data, monkeypatch):
    batch = make_batch(data)
    batch.target = torch.full_like(batch.target, 1 / 8)
    for hard, expected in ((True, 1.0), (False, 1 / 8)):
        recipe, seen = make_recipe(data, hard_labels=hard), []
        monkeypatch.setattr(
            recipe,
            "expression_losses",
            lambda pixels, target, label, recipe=recipe, seen=seen: (
                seen.append((target, label)),
                {"expression": recipe.expression(pixels).sum()},
            )[1],
        )
        recipe.step(batch)
        ((target, label),) = seen
        assert target.max() == expected and torch.equal(label, batch.label)


@pytest.mark.slow
def test_sixty_four_faces_are_learnt_by_heart(data):
    """All modules and losses together can bring L_cls to nothing."""
    recipe, batch = make_recipe(data, augmentation=STILL), make_batch(data, 64)
    first = recipe.step(batch)["expression"].item()
    for _ in range(29):
        last = recipe.step(batch)["expression"].item()
    assert first > 1 and last < 0.05
    recipe.model.eval()
    right = recipe.model(batch.faces).expression.argmax(dim=1) == batch.label
    assert right.float().mean() > 0.95


# A whole run.


@pytest.fixture(scope="module")
def run(tiny_data, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "fdrl"
    options = dataclasses.replace(OPTIONS, augmentation=STILL)
    fit("fdrl", fit_options(tiny_data, folder, epochs=3, average=0.5), options, data, resume=False)
    return folder


def test_the_run_is_measured_like_any_other(run, data):
    scores = evaluate_run(run, data, "validation", device="cpu")
    best = load_state(run / "best.safetensors")["log"]
    assert scores["expression"]["accuracy"] == pytest.approx(best["accuracy"])
    assert best["accuracy"] > 0.9 and scores["pose"]["faces"] > 0
    assert calibrate_run(run, data, 1.0, device="cpu")["faces"] == 32
    robust = measure_robustness(run, data, "validation", "data", seed=0, device="cpu")
    assert robust["conditions"]["clean"]["accuracy"] == pytest.approx(best["accuracy"])


@pytest.mark.slow
def test_the_file_says_what_torch_says(run, data, tmp_path, unrounded):
    path = export_run(run, tmp_path / "fdrl.onnx", "data")
    torchs = ExportedModel(load_model(run)[0], read_decision(run, "data")).eval()
    with open_session(path) as session:
        assert [(each.name, each.dtype) for each in session.inputs] == [("faces", np.uint8)]
        for count in (1, 5):
            faces = np.repeat(np.array(data.faces[:count]), 3, axis=3)
            found = session.run({"faces": faces})
            with torch.no_grad():
                expression, pose = torchs(torch.from_numpy(faces))
            assert expression.shape == (count, 8) and pose.shape == (count, 3)
            np.testing.assert_allclose(found["expression"], expression, atol=1e-5)
            np.testing.assert_allclose(found["pose"], pose, atol=1e-3)


def test_what_t_sne_and_the_cost_see_is_the_expression_feature(run, data):
    model, config = load_model(run)
    features = torch.from_numpy(expression_features(run, np.array(data.faces[:5])))
    assert features.shape == (5, 128)
    with torch.no_grad():
        expected = model(torch.from_numpy(np.array(data.faces[:5]))).expression
        np.testing.assert_allclose(model.expression.classifier(features), expected, atol=1e-4)
    linear = config["model"] | {"head": "linear", "head_options": {}}
    plain_branch = config | {"model": linear}
    extra = inference_cost(config).parameters - inference_cost(plain_branch).parameters
    # FDN on 256 numbers, W_s and W_e, and EPN on 128 numbers instead of 256.
    assert extra == 9 * (256 * 128 + 128) + 2 * 9 * (128 * 128 + 128) - 128 * 8


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(tiny_data, data, tmp_path, monkeypatch):
    options = dataclasses.replace(OPTIONS, mixup=0.2, dropout=0.1)
    fit("fdrl", fit_options(tiny_data, tmp_path / "whole"), options, data, resume=False)
    how = fit_options(tiny_data, tmp_path / "broken")
    fit_interrupted(monkeypatch, "fdrl", how, options, data)
    whole, _ = assert_same_end(tmp_path / "whole", how.run, "networks")
    centres = [name for name in whole["networks"] if name.startswith("centres.")]
    assert len(centres) == 2 and all(whole["networks"][name].any() for name in centres)


def test_it_starts_from_the_encoders_of_another_run(tiny_run, data):
    theirs = load_state(tiny_run / "best.safetensors")["model"]
    recipe = make_recipe(data, initial=tiny_run)
    for key, value in recipe.model.expression.encoder.layers.state_dict().items():
        assert torch.equal(value, theirs[f"expression.encoder.layers.{key}"]), key


def test_reproduce_gives_it_the_budget_of_all(tiny_data, tmp_path):
    options = Reproduce(paper=True)._options("fdrl", 0)[1]
    assert (options.network, options.rate, options.schedule) == (PAPER.network, 1e-4, "paper")
    command = Reproduce(
        data=tiny_data, output=tmp_path, methods=("fdrl",), seeds=1, network="resnet10-half",
        batch_size=32, epochs=1, precision="32-true", device="cpu",
    )  # fmt: skip
    assert command.run() == 0
    assert "| FDRL | 1 |" in (tmp_path / "table-validation.md").read_text()


def test_the_methods_are_called_by_what_they_lack():
    assert title_of("fdrl", {"fdn": True, "intra": True, "inter": True}) == "FDRL"
    assert title_of("fdrl", {"fdn": True, "intra": True, "inter": False}) == "FDRL without inter"


def test_the_switches_of_the_command_line():
    arguments = "--data d --run r --no-fdn --no-intra --no-inter --no-hard-labels".split()
    options = tyro.cli(OmitArgPrefixes[Fit[FdrlOptions]], args=arguments).options
    assert not any((options.fdn, options.intra, options.inter, options.hard_labels))


def test_what_cannot_be_trained_is_one_clear_line(data):
    with pytest.raises(UserError, match="--no-fdn needs --no-intra --no-inter"):
        Fdrl(dataclasses.replace(OPTIONS, fdn=False, intra=False), data.classes)


# The figures.


def test_a_group_are_the_faces_in_which_a_latent_feature_has_its_largest_shares():
    weights = np.array([[90.0, 10.0], [1.0, 9.0], [3.0, 1.0], [50.0, 50.0]])
    np.testing.assert_array_equal(figures.groups(weights, 2), [[0, 2], [1, 3]])


def test_the_bars_are_the_means_of_the_classes(run, data):
    weights = figures.intra_weights_of(run, data)
    model, _ = load_model(run)
    with torch.no_grad():
        pixels = model.expression_input(torch.from_numpy(np.array(data.faces[:3])))
        expected = model.expression.analyse(pixels).intra_weights
    np.testing.assert_allclose(weights[:3], expected, rtol=1e-4)
    means = figures.mean_by_class(data, weights)
    assert list(means) == list(data.classes[:4]), "of the classes that have faces"
    np.testing.assert_allclose(means["happiness"], weights[data.label == 1].mean(axis=0))


def test_each_figure_is_one_command(run, tiny_run, tiny_data, capsys):
    place = ["--run", str(run), "--data", str(tiny_data)]
    assert main(["visualize", "fdrl-weights", *place]) == 0
    assert main(["visualize", "fdrl-groups", *place, "--split", "test", "--count", "3"]) == 0
    for name in ("weights-validation", "groups-test"):
        assert (run / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    assert main(["visualize", "fdrl-weights", "--run", str(tiny_run), *place[2:]]) == 1
    assert "a run of baseline without Intra-RM" in capsys.readouterr().err
