import csv
import dataclasses

import numpy as np
import pytest
import torch
import tyro
from torch import nn
from tyro.conf import OmitArgPrefixes

import train.recipes.ipd_fer as ipd_fer
from tests.train.training import assert_same_end, changed_by, fit_interrupted, fit_options
from train.data.augmentation import Augmentation
from train.data.batches import FaceDataset
from train.data.examples import examples
from train.errors import UserError
from train.export.face import export_run
from train.fit import Fit, fit, make_fabric
from train.recipes.ipd_fer import IpdFer
from train.recipes.ipd_fer_options import IpdFerOptions
from train.recipes.schedules import make_schedule
from train.runs.checkpoint import load_state
from train.runs.load import load_model

OPTIONS = IpdFerOptions(identity="stand-in", network="resnet10-half", rate=1e-3)

pytestmark = pytest.mark.usefixtures("stand_in_identity")


def make_recipe(data, tiny_data, **changes) -> IpdFer:
    torch.manual_seed(0)
    fabric = make_fabric("cpu", "32-true")
    recipe = IpdFer(dataclasses.replace(OPTIONS, **changes), data.classes)
    recipe.features = recipe.prepare(data, tiny_data, fabric)
    recipe.setup(fabric, steps=30)
    recipe.networks.train()
    return recipe


def make_batch(recipe, data, count=8):
    dataset = FaceDataset(data, data.rows("train"), recipe.features)
    return dataset.__getitems__(list(range(count)))


def one_sample(recipe, data):
    return recipe._see(make_batch(recipe, data))


def test_the_defaults_are_the_papers():
    options = IpdFerOptions(identity="x")
    lambdas = (options.lambda1, options.lambda2, options.lambda3, options.lambda4)
    assert lambdas == (0.001, 0.001, 1, 10) and (options.beta1, options.beta2) == (0.5, 1)
    assert (options.rate, options.decay, options.schedule) == (1e-4, 0, "paper")
    assert options.hard_labels and options.mixup == 0 and options.identity_every == 1
    assert options.pose and options.discriminator
    assert options.confusion and options.cos and options.id


def test_the_papers_schedule_falls_to_a_tenth_every_ten_of_thirty_epochs():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1e-4)
    schedule, rates = make_schedule("paper", optimizer, steps=30), []
    for _ in range(30):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([1e-4] * 10 + [1e-5] * 10 + [1e-6] * 10)
    with pytest.raises(ValueError, match="paper or one-cycle"):
        make_schedule("never", optimizer, 3)


# Algorithm 1.


def parts(recipe) -> dict[str, nn.Module]:
    model = recipe.model
    return {
        "E_exp": model.expression.encoder,
        "C_exp": model.expression.classifier,
        "E_pose": model.pose.encoder,
        "C_p": model.pose.classifier,
        "angles": model.pose.angles,
        "G_dec": recipe.G_dec,
        "D": recipe.D,
        "E_id": recipe.E_id,
    }


def test_each_update_changes_what_it_may_and_nothing_else(data, tiny_data):
    recipe = make_recipe(data, tiny_data, dropout=0.2)
    sample = one_sample(recipe, data)
    branches = {"E_exp", "C_exp", "E_pose", "C_p", "angles"}

    assert changed_by(parts(recipe), lambda: recipe.update_classifiers(sample)) == branches
    assert changed_by(parts(recipe), lambda: recipe.update_D(sample)) == {"D"}
    generator = changed_by(parts(recipe), lambda: recipe.update_G(sample))
    assert generator == {"E_exp", "E_pose", "G_dec"}
    assert recipe.D.training
    assert all(parameter.requires_grad for parameter in recipe.networks.parameters())


def test_no_update_leaves_a_gradient_to_the_next(data, tiny_data):
    recipe = make_recipe(data, tiny_data)
    sample = one_sample(recipe, data)
    for update in (recipe.update_classifiers, recipe.update_D, recipe.update_G):
        update(sample)
        assert all(parameter.grad is None for parameter in recipe.networks.parameters())


def test_id_fer_keeps_the_pose_branch_out_of_the_generator(data, tiny_data):
    recipe = make_recipe(data, tiny_data, pose=False)
    sample = one_sample(recipe, data)
    assert {"E_pose", "C_p"} < changed_by(parts(recipe), lambda: recipe.update_classifiers(sample))
    assert changed_by(parts(recipe), lambda: recipe.update_G(sample)) == {"E_exp", "G_dec"}
    assert "confusion" not in recipe.step(make_batch(recipe, data))
    before = totals(recipe, sample)["G"]
    with torch.no_grad():
        for parameter in recipe.model.pose.parameters():
            parameter += 0.3
    assert totals(recipe, sample)["G"] == before


def totals(recipe, sample) -> dict[str, float]:
    """The loss of each update, without any being made; dropout and mixup are off."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "descend", lambda name, loss: found.update({name: loss.item()}))
        recipe.losses = recipe.update_classifiers(sample) | recipe.update_G(sample)
    return found


SWITCHES = {
    "confusion": {"confusion": 1.0},
    "cos": {"cos": 0.5},
    "id": {"identity": 1.0},
    "discriminator": {"fake_neutral": 0.001, "fake_expression": 0.001},
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_each_switch_takes_out_exactly_its_term(switch, data, tiny_data):
    recipe = make_recipe(data, tiny_data)
    sample = one_sample(recipe, data)
    whole, losses = totals(recipe, sample), recipe.losses
    recipe.options = dataclasses.replace(recipe.options, **{switch: False})
    less = totals(recipe, sample)

    removed = {name: losses[name].item() * weight for name, weight in SWITCHES[switch].items()}
    assert set(losses) - set(recipe.losses) == set(removed)
    assert all(value > 1e-4 for value in removed.values())
    assert whole["G"] - less["G"] == pytest.approx(sum(removed.values()), rel=1e-2)
    in_line_2 = whole["classifiers"] - less["classifiers"]
    assert in_line_2 == pytest.approx(removed.get("cos", 0.0), rel=1e-2, abs=1e-6)


def test_without_d_there_is_no_update_of_d(data, tiny_data):
    recipe = make_recipe(data, tiny_data, discriminator=False)
    batch = make_batch(recipe, data)
    assert "D" not in changed_by(parts(recipe), lambda: recipe.step(batch))
    assert set(recipe.optimizers) == {"classifiers", "G"}


def test_l_id_may_be_taken_on_every_third_face(data, tiny_data, monkeypatch):
    recipe = make_recipe(data, tiny_data, identity_every=3)
    sample, seen = one_sample(recipe, data), []
    forward = recipe.N.forward
    monkeypatch.setattr(recipe.N, "forward", lambda x: seen.append(x) or forward(x))
    totals(recipe, sample)

    assert torch.equal(seen[0], sample.real[[0, 3, 6]])
    assert len(seen[1]) == 6, "x_ip and x_ipe of the same three"


def test_l_id_may_count_from_a_later_step_on(data, tiny_data):
    recipe = make_recipe(data, tiny_data, identity_from=0.1)  # of 30 steps
    batch = make_batch(recipe, data)
    found = [float(recipe.step(batch)["identity"].detach()) for _ in range(4)]
    assert found[:3] == [0, 0, 0] and found[3] > 0


def test_l_turn_counts_where_it_is_asked_for_and_moves_no_statistics_of_e_pose(data, tiny_data):
    recipe = make_recipe(data, tiny_data, pose_consistency=2.0)
    sample, asked = one_sample(recipe, data), recipe.options
    whole, losses = totals(recipe, sample), recipe.losses
    recipe.options = dataclasses.replace(asked, pose_consistency=0.0)
    less = totals(recipe, sample)
    assert set(losses) - set(recipe.losses) == {"turn"} and losses["turn"] > 0
    assert whole["G"] - less["G"] == pytest.approx(2 * losses["turn"].item(), rel=1e-2, abs=1e-5)

    recipe.options = asked
    changed = changed_by(parts(recipe), lambda: recipe.update_G(sample))
    assert changed == {"E_exp", "E_pose", "G_dec"}
    assert recipe.model.pose.training
    norms = [norm for norm in recipe.model.pose.modules() if isinstance(norm, nn.BatchNorm2d)]
    before = [int(norm.num_batches_tracked) for norm in norms]
    recipe._turned_alike(sample.x, sample.real)
    assert [int(norm.num_batches_tracked) for norm in norms] == before


def test_id_fer_has_no_l_turn(data, tiny_data):
    recipe = make_recipe(data, tiny_data, pose=False, pose_consistency=2.0)
    assert "turn" not in recipe.step(make_batch(recipe, data))


def test_the_generator_is_to_make_the_prepared_face_mirrored_where_x_is(data, tiny_data):
    only_mirrored = Augmentation(rotation=0, shift=0, zoom=0, light=0, erase=0, blur=0)
    recipe = make_recipe(data, tiny_data, augmentation=only_mirrored)
    sample = one_sample(recipe, data)
    torch.testing.assert_close(sample.real, sample.x, atol=1e-4, rtol=0)
    recipe = make_recipe(data, tiny_data)
    batch = make_batch(recipe, data)
    sample, prepared = recipe._see(batch), recipe.model.expression_input(batch.faces)
    pairs = list(zip(sample.real, prepared, strict=True))
    mirrored = [torch.equal(one, other.flip(2)) for one, other in pairs]
    as_it_is = [torch.equal(one, other) for one, other in pairs]
    assert any(mirrored) and any(as_it_is) and all(map(any, zip(mirrored, as_it_is, strict=True)))
    assert not torch.allclose(sample.real, sample.x, atol=0.1)


def test_the_decoder_may_be_narrower_than_the_encoder(data, tiny_data):
    wide, narrow = (make_recipe(data, tiny_data, decoder_width=width) for width in (None, 8))
    assert wide.plain("G_dec").pixels.in_channels == 16
    assert narrow.plain("G_dec").pixels.in_channels == 4
    assert narrow.G_dec(torch.zeros(1, 512)).shape == (1, 1, 56, 56)


def test_labels_are_the_majority_or_the_votes(data, tiny_data):
    recipe = make_recipe(data, tiny_data)
    batch = make_batch(recipe, data)
    batch.target = torch.full_like(batch.target, 1 / 8)
    hard = recipe._see(batch)
    assert torch.equal(hard.y.argmax(dim=1), batch.label) and hard.y.max() == 1
    assert torch.equal(hard.neutral, batch.label == data.classes.index("neutral"))
    recipe.options = dataclasses.replace(recipe.options, hard_labels=False)
    assert torch.equal(recipe._see(batch).y, batch.target)


def test_mixup_mixes_f_id_too_and_stays_out_of_the_generator(data, tiny_data, monkeypatch):
    recipe = make_recipe(data, tiny_data, mixup=0.4)
    sample, seen = one_sample(recipe, data), []

    def swap(pixels, target, strength):
        seen.append(strength)
        return pixels.flip(0), target.flip(0)

    plain = make_recipe(data, tiny_data)
    expected = totals(plain, sample)
    monkeypatch.setattr(ipd_fer, "mixup", swap)
    # The order of a batch changes no mean: mixed consistently, swapping partners changes nothing.
    found = totals(recipe, sample)
    assert found["classifiers"] == pytest.approx(expected["classifiers"], rel=1e-4)
    assert found["G"] == pytest.approx(expected["G"], rel=1e-4)
    assert seen == [0.4]


# A whole run.


@pytest.fixture(scope="module")
def run(tiny_data, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "ipd"
    options = dataclasses.replace(OPTIONS, schedule="one-cycle", rate=3e-3, identity_every=2)
    how = fit_options(tiny_data, folder, epochs=4, average=0.5)
    fit("ipd_fer", how, options, data, resume=False)
    return folder


@pytest.mark.slow
def test_the_tiny_task_is_learnt_and_drawn(run):
    rows = list(csv.DictReader((run / "log.csv").read_text().splitlines()))
    first, last = (float(row["loss_reconstruction"]) for row in (rows[0], rows[-1]))
    assert last < 0.8 * first
    assert float(rows[-1]["loss_expression"]) < 0.6 * float(rows[0]["loss_expression"])
    assert max(float(row["accuracy"]) for row in rows) > 0.9
    for epoch in (1, 4):
        assert (run / f"faces-{epoch}.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_the_run_is_loaded_and_exported_like_any_other(run, tmp_path, data):
    model, config = load_model(run)
    assert config["recipe"] == "ipd_fer"
    assert model.expression.classifier.in_features == model.pose.classifier.in_features == 512
    found = model(torch.from_numpy(np.array(data.faces[data.rows("validation")])))
    right = found.expression.argmax(dim=1).numpy() == data.label[data.rows("validation")]
    assert right.mean() == pytest.approx(load_state(run / "best.safetensors")["log"]["accuracy"])

    path = export_run(run, tmp_path / "model.onnx")
    assert b"stand-in" not in path.read_bytes() + (tmp_path / "models.json").read_bytes()


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(tiny_data, data, tmp_path, monkeypatch):
    options = dataclasses.replace(OPTIONS, mixup=0.2, dropout=0.1, identity_every=3)
    fit("ipd_fer", fit_options(tiny_data, tmp_path / "whole"), options, data, resume=False)
    how = fit_options(tiny_data, tmp_path / "broken")
    fit_interrupted(monkeypatch, "ipd_fer", how, options, data)
    assert_same_end(tmp_path / "whole", how.run, "networks")


def test_the_networks_start_from_another_run(tiny_run, data, tiny_data):
    theirs = load_state(tiny_run / "best.safetensors")["model"]
    recipe = make_recipe(data, tiny_data, initial=tiny_run)
    for name, part in (
        ("expression.encoder.layers", recipe.model.expression.encoder.layers),
        ("expression.encoder.layers", recipe.D.encoder.layers),
        ("expression.classifier", recipe.D.classifier),
        ("pose.encoder.layers", recipe.model.pose.encoder.layers),
    ):
        for key, value in part.state_dict().items():
            assert torch.equal(value, theirs[f"{name}.{key}"]), (name, key)
    with pytest.raises(UserError, match="its expression network is another one"):
        make_recipe(data, tiny_data, initial=tiny_run, network="resnet18-half")


def test_what_cannot_be_trained_is_one_clear_line(data):
    with pytest.raises(UserError, match="needs a class named neutral"):
        IpdFer(OPTIONS, ("anger", "fear"))
    with pytest.raises(UserError, match="do not look at the same picture"):
        IpdFer(dataclasses.replace(OPTIONS, network="resnet18"), data.classes)
    with pytest.raises(UserError, match="The networks are resnet18, .*; not vgg"):
        IpdFer(dataclasses.replace(OPTIONS, network="vgg"), data.classes)


def test_the_switches_of_the_command_line():
    arguments = "--data d --run r --identity file.pt --no-confusion --no-cos --no-id".split()
    arguments += "--no-discriminator --no-pose --no-hard-labels --schedule one-cycle".split()
    options = tyro.cli(OmitArgPrefixes[Fit[IpdFerOptions]], args=arguments).options
    off = (options.confusion, options.cos, options.id, options.discriminator, options.pose)
    assert not any(off) and not options.hard_labels and options.schedule == "one-cycle"


def test_the_faces_of_the_picture_are_fixed_and_varied(data):
    rows = data.rows("validation")
    chosen = examples(data, rows)
    assert len(set(chosen)) == 8 and set(chosen) <= set(rows)
    assert np.array_equal(chosen, examples(data, rows))
    assert set(data.label[chosen]) == {0, 1, 2, 3}
    assert len(examples(data, rows[:3])) == 3


def test_l_ahead_counts_for_neutral_faces_that_look_ahead(data, tiny_data):
    recipe = make_recipe(data, tiny_data, frontal_identity=0.5)
    sample, asked = one_sample(recipe, data), recipe.options
    n = len(sample.x)
    sample.neutral = torch.arange(n) < n - 1
    pose = torch.zeros_like(sample.batch.pose)
    pose[0, 0], pose[1, 0] = 9.0, -7.0
    known = torch.arange(n) != 2
    sample.batch = dataclasses.replace(sample.batch, pose=pose, pose_known=known)
    ahead = sample.looks_ahead()
    assert ahead.tolist() == [False, True, False, *[True] * (n - 4), False]

    whole, losses = totals(recipe, sample), recipe.losses
    recipe.options = dataclasses.replace(asked, frontal_identity=0.0)
    less = totals(recipe, sample)
    assert set(losses) - set(recipe.losses) == {"ahead"}
    with torch.no_grad():
        x_i = recipe.plain("G_dec")(sample.f_id[ahead])
    error = (x_i - sample.real[ahead]).abs().mean() * len(x_i) / n
    assert losses["ahead"].item() == pytest.approx(error.item(), rel=1e-2)
    assert whole["G"] - less["G"] == pytest.approx(5 * error.item(), rel=1e-2), "a half of λ4"


def test_l_ahead_of_a_batch_where_nobody_looks_ahead_is_nothing(data, tiny_data):
    recipe = make_recipe(data, tiny_data, frontal_identity=1.0)
    sample = one_sample(recipe, data)
    sample.neutral = torch.zeros_like(sample.neutral)
    totals(recipe, sample)
    assert recipe.losses["ahead"] == 0
