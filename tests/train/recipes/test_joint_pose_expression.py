import dataclasses

import numpy as np
import pytest
import torch
import tyro
from matplotlib.figure import Figure
from torch import nn
from tyro.conf import OmitArgPrefixes

import train.figures.joint_pose_expression as figures
from tests.train.training import STILL, assert_same_end, changed_by, fit_interrupted, fit_options
from train.__main__ import main
from train.data.batches import FaceDataset
from train.export.face import export_run
from train.fit import Fit, fit, make_fabric
from train.recipes.baseline import Baseline, BaselineOptions
from train.recipes.joint_pose_expression import JointPoseExpression, JointPoseExpressionOptions
from train.recipes.methods import METHODS, title_of
from train.runs.checkpoint import load_state
from train.runs.load import load_model

SMALL = {"network": "resnet10-half", "dropout": 0.0, "mixup": 0.0, "rate": 1e-3}
OPTIONS = JointPoseExpressionOptions(**SMALL, generated=1, decoder_width=8)


def make_recipe(data, recipe=JointPoseExpression, options=OPTIONS, **changes):
    torch.manual_seed(0)
    made = recipe(dataclasses.replace(options, **changes), data.classes)
    made.setup(make_fabric("cpu", "32-true"), steps=400)
    return made


def make_batch(data, count=8):
    rows = data.rows("train")
    return FaceDataset(data, rows).__getitems__(list(range(min(count, len(rows)))))


def test_the_defaults_are_the_papers_and_the_baselines():
    options, baseline = JointPoseExpressionOptions(), BaselineOptions()
    assert (options.generator_rate, options.momentum) == (2e-4, 0.5)
    shared = [field.name for field in dataclasses.fields(baseline)]
    assert [getattr(options, name) for name in shared] == [
        getattr(baseline, name) for name in shared
    ]


# The updates.


def parts(recipe) -> dict[str, nn.Module]:
    return {"C_exp": recipe.model.expression, "pose": recipe.model.pose,
            "G_enc": recipe.plain("G").G_enc, "G_dec": recipe.plain("G").G_dec,
            "D_att": recipe.D_att, "D_i": recipe.D_i}  # fmt: skip


def test_each_update_changes_what_it_may_and_leaves_no_gradient(data):
    recipe, batch = make_recipe(data), make_batch(data)
    sample = recipe._see(batch)
    with torch.no_grad():
        made, f = recipe.G(sample.x, sample.code)
    updates = {
        ("D_att",): lambda: recipe.update_D_att(sample, made),
        ("D_i",): lambda: recipe.update_D_i(f),
        ("C_exp", "pose"): lambda: recipe.update_C_exp(batch, f),
        ("G_enc", "G_dec"): lambda: recipe.update_G(sample),
    }
    for changed, update in updates.items():
        assert changed_by(parts(recipe), update) == set(changed)
        for name, part in parts(recipe).items():
            assert all(weight.grad is None for weight in part.parameters()), (changed, name)
            assert all(weight.requires_grad for weight in part.parameters())
            assert all(module.training for module in part.modules())


TERMS = ("content", "variation", "made_expression", "deceive_attributes", "deceive_identity")


def generator_gradients(recipe, sample, monkeypatch, term) -> set[str]:
    """Which halves of G one term of equation 7 alone changes."""
    with monkeypatch.context() as patch:
        patch.setattr(recipe, "descend", lambda name, loss: None)
        recipe.update_G(sample)[term].backward()
    found = {
        name for name in ("G_enc", "G_dec")
        if any(w.grad is not None and w.grad.any() for w in parts(recipe)[name].parameters())
    }  # fmt: skip
    assert all(w.grad is None for name in ("C_exp", "D_att", "D_i", "pose")
               for w in parts(recipe)[name].parameters())  # fmt: skip
    recipe.networks.zero_grad()
    return found


def test_each_term_reaches_its_half_of_the_generator(data, monkeypatch):
    recipe = make_recipe(data)
    sample = recipe._see(make_batch(data))
    for term in TERMS:
        expected = {"G_enc"} if term == "deceive_identity" else {"G_enc", "G_dec"}
        assert generator_gradients(recipe, sample, monkeypatch, term) == expected, term


def test_the_generator_descends_all_five_terms(data, monkeypatch):
    recipe = make_recipe(data, alpha=7.0, beta=3.0)
    seen = {}
    monkeypatch.setattr(recipe, "descend", lambda name, loss: seen.update({name: loss.item()}))
    losses = recipe.update_G(recipe._see(make_batch(data)))
    weights = {"content": 7.0, "variation": 3.0}
    expected = sum(weights.get(name, 1.0) * loss.item() for name, loss in losses.items())
    assert tuple(losses) == TERMS and seen == {"G": pytest.approx(expected, rel=1e-5)}


def test_the_discriminators_ascend_their_values(data, monkeypatch):
    recipe = make_recipe(data)
    sample = recipe._see(make_batch(data))
    made = 1 - sample.x
    f = torch.rand(len(made), OPTIONS.identity_dim) * 0.01
    monkeypatch.setattr(recipe, "D_att", lambda x, codes: (x == sample.x[:1]).flatten(1)
                        .float().mean(dim=1))  # fmt: skip
    for update in (lambda: recipe.update_D_att(sample, made), lambda: recipe.update_D_i(f)):
        seen = {}
        with monkeypatch.context() as patch:
            patch.setattr(
                recipe, "descend", lambda name, loss, seen=seen: seen.update({name: loss.item()})
            )
            losses = update()
        assert list(seen.values()) == [loss.item() for loss in losses.values()] and len(seen) == 1
        assert all(loss > 0 for loss in seen.values()), "the values are logarithms of shares"
    before = recipe.update_D_i(f)["prior"].item()
    for _ in range(30):
        after = recipe.update_D_i(f)["prior"].item()
    assert after < before


# What the classifier sees.


@pytest.mark.parametrize("generated", [0, 1, 5])
def test_it_sees_as_many_generated_faces_as_asked_for(data, generated, monkeypatch):
    recipe, batch = make_recipe(data, generated=generated, augmentation=STILL), make_batch(data)
    seen, codes = [], []
    recipe.expression.register_forward_pre_hook(lambda module, inputs: seen.extend(inputs))
    if generated:
        G_dec = recipe.plain("G").G_dec
        decode = G_dec.forward
        monkeypatch.setattr(G_dec, "forward", lambda f, code: (
            codes.append(code), decode(f, code))[1])  # fmt: skip
    recipe.step(batch)
    assert [len(each) for each in seen] == [8] * (generated + 1)

    prepared = recipe.model.expression_input(batch.faces)
    same_or_mirrored = torch.minimum(
        (seen[-1] - prepared).abs().amax(dim=(1, 2, 3)),
        (seen[-1] - prepared.flip(3)).abs().amax(dim=(1, 2, 3)),
    )
    assert same_or_mirrored.max() < 1e-3, "the last are the real ones"
    drawn = codes[1:-1]  # The first and the last are the faces' own, for the discriminators and G.
    assert len(drawn) == generated
    assert len({tuple(code.flatten().tolist()) for code in drawn}) == generated


def test_generated_faces_teach_the_expression_of_their_codes(data):
    """With a decoder that paints the expression's number, C_exp learns it from these faces."""
    recipe = make_recipe(data, augmentation=STILL)
    bars = torch.zeros(8, 1, 56, 56)
    for label in range(8):
        bars[label, :, 7 * label : 7 * label + 7] = 1
    recipe.plain("G").G_dec.forward = lambda f, code: bars[code[:, :8].argmax(dim=1)]
    pixels, target = recipe._generated(torch.zeros(16, 50))
    expected = bars[target.argmax(dim=1)]
    torch.testing.assert_close(pixels, expected, atol=1e-4, rtol=0)
    assert len(target.unique(dim=0)) > 3


def test_its_gradient_is_that_of_the_mean_over_all_faces(data, monkeypatch):
    recipe, batch = make_recipe(data, generated=5, augmentation=STILL, clip=1e9), make_batch(data)
    found, errors = {}, []
    monkeypatch.setattr(
        recipe.optimizers["model"],
        "step",
        lambda: found.update(
            {
                name: weight.grad.clone()
                for name, weight in recipe.model.expression.named_parameters()
            }
        ),
    )
    monkeypatch.setattr(recipe.schedules["model"], "step", lambda: None)
    generate = recipe._generated
    monkeypatch.setattr(recipe, "_generated", lambda f: errors.append(generate(f)) or errors[-1])
    torch.manual_seed(1)
    recipe.update_C_exp(batch, torch.zeros(8, 50))
    recipe.model.zero_grad()

    torch.manual_seed(1)
    for _ in range(5):
        generate(torch.zeros(8, 50))
    pixels, _ = recipe.augment(recipe.model.expression_input(batch.faces), batch.pose)
    pieces = [*errors, (pixels, batch.target)]
    logs = [recipe.model.expression(x).log_softmax(dim=1) for x, _ in pieces]
    targets = torch.cat([target for _, target in pieces])
    (-(targets * torch.cat(logs)).sum() / 48).backward()
    for name, weight in recipe.model.expression.named_parameters():
        torch.testing.assert_close(found[name], weight.grad, atol=1e-5, rtol=1e-3)


def test_batch_normalisation_remembers_real_faces_alone(data, monkeypatch):
    batch, found = make_batch(data), []
    for recipe, options in ((JointPoseExpression, OPTIONS), (Baseline, BaselineOptions(**SMALL))):
        trainer = make_recipe(data, recipe, options, augmentation=STILL)
        monkeypatch.setattr(trainer.augment, "flip", NoFlip())
        trainer.step(batch)
        norms = [each for each in trainer.model.expression.modules()
                 if isinstance(each, nn.BatchNorm2d)]  # fmt: skip
        found.append([norm.running_mean for norm in norms])
        assert all(norm.momentum == 0.1 for norm in norms)
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


class NoFlip:
    """In place of kornia's mirroring: none, and it draws nothing at random."""

    def __call__(self, pixels):
        self.transform_matrix = torch.eye(3).expand(len(pixels), 3, 3)
        return pixels


def test_without_generated_faces_it_is_the_baseline_bit_for_bit(data):
    batch, found = make_batch(data), []
    options = BaselineOptions(network="resnet10-half")
    joint = JointPoseExpressionOptions(network="resnet10-half", generated=0, decoder_width=8)
    for recipe, each in ((JointPoseExpression, joint), (Baseline, options)):
        trainer = make_recipe(data, recipe, each)
        torch.manual_seed(3)
        trainer.step(batch)
        trainer.step(batch)
        found.append(trainer.state())
    assert found[0].keys() == found[1].keys() == {"networks", "optimizers", "schedules"}
    for part in found[1]:
        assert found[0][part].keys() == found[1][part].keys()
    for name, tensor in found[1]["networks"].items():
        assert torch.equal(tensor, found[0]["networks"][name]), name


def test_a_mirrored_face_has_the_mirrored_pose(data):
    recipe, batch = make_recipe(data), make_batch(data)
    torch.manual_seed(0)
    sample, prepared = recipe._see(batch), recipe.model.expression_input(batch.faces)
    mirrored = (sample.x != prepared).flatten(1).any(dim=1)
    assert mirrored.any() and not mirrored.all()
    yaw = torch.where(mirrored, -batch.pose[:, 0], batch.pose[:, 0])
    known = batch.pose_known
    poses = sample.code[:, 8:]
    assert torch.equal(poses[known].argmax(dim=1), recipe.codes.pose_class(yaw)[known])
    assert not known.all() and not poses[~known].any()
    assert torch.equal(sample.expression.argmax(dim=1), batch.label)


# A whole run.


@pytest.mark.slow
def test_64_faces_are_learnt_and_made_again(data):
    """Both halves of the method at once: the classifier knows them, and G makes them again."""
    recipe, batch = make_recipe(data, augmentation=STILL, schedule="paper"), make_batch(data, 64)
    assert len(batch.faces) == 64
    recipe.optimizers["G"].param_groups[0]["lr"] = 1e-3
    log = [recipe.step(batch) for _ in range(25)]
    first, last = ({name: loss.item() for name, loss in row.items()} for row in (log[0], log[-1]))
    assert last["content"] < 0.6 * first["content"]
    assert last["expression"] < 0.1 * first["expression"]
    recipe.model.eval()
    with torch.no_grad():
        found = recipe.model(batch.faces).expression.argmax(dim=1)
    assert (found == batch.label).float().mean() == 1


@pytest.fixture(scope="module")
def run(tiny_data, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "joint"
    options = dataclasses.replace(OPTIONS, mixup=0.2, dropout=0.1)
    how = fit_options(tiny_data, folder, batch_size=32)
    fit("joint_pose_expression", how, options, data, resume=False)
    return folder


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(run, tiny_data, data, tmp_path, monkeypatch):
    options = dataclasses.replace(OPTIONS, mixup=0.2, dropout=0.1)
    how = fit_options(tiny_data, tmp_path / "broken", batch_size=32)
    fit_interrupted(monkeypatch, "joint_pose_expression", how, options, data)
    assert_same_end(run, how.run, "networks")


@pytest.mark.slow
def test_what_is_kept_is_the_baselines_model(run, tiny_run, tmp_path):
    model, config = load_model(run)
    baseline, _ = load_model(tiny_run)
    assert config["recipe"] == "joint_pose_expression"
    assert model.state_dict().keys() == baseline.state_dict().keys()
    assert export_run(run, tmp_path / "joint.onnx").stat().st_size > 1e6
    assert (run / "faces-2.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_the_grid_is_expressions_by_poses(run, tiny_data, tiny_run, data, monkeypatch, capsys):
    arguments = ["--data", str(tiny_data), "--count", "2"]
    assert main(["visualize", "codes", "--run", str(run), *arguments]) == 0
    assert (run / "codes-validation.png").read_bytes()[:4] == b"\x89PNG"
    drawn = []
    monkeypatch.setattr(figures, "plot_grids", lambda *what: drawn.append(what) or Figure())
    assert main(["visualize", "codes", "--run", str(run), *arguments]) == 0
    faces, grids, (poses, expressions) = drawn[0]
    assert grids.shape == (2, 9, 8, 1, 56, 56) and faces.shape == (2, 1, 56, 56)
    assert len(poses) == 9 and expressions == list(data.classes)

    recipe = make_recipe(data)
    state = load_state(run / "last.safetensors")["recipe"]["networks"]
    recipe.networks.load_state_dict(state)
    code = recipe.codes(torch.tensor([3]), torch.tensor([6]))
    with torch.no_grad():
        expected, _ = recipe.G(torch.from_numpy(faces[1:]), code)
    np.testing.assert_allclose(grids[1, 6, 3], expected[0], atol=1e-5)
    assert main(["visualize", "codes", "--run", str(tiny_run), *arguments]) == 1
    assert "a run of baseline, which makes no such faces" in capsys.readouterr().err


def test_the_numbers_of_generated_faces_are_the_papers():
    def parse(*more):
        arguments = ["--data", "d", "--run", "r", *more]
        return tyro.cli(OmitArgPrefixes[Fit[JointPoseExpressionOptions]], args=arguments).options

    assert parse().generated == 5
    assert [parse("--generated", n).generated for n in "0 1 5 10 15 20".split()][-1] == 20
    assert not parse("--no-signed").signed
    with pytest.raises(SystemExit):
        parse("--generated", "7")


def test_0n_and_5n_are_methods_and_other_numbers_have_names_of_their_own():
    assert METHODS["joint_0n"][1].values == {"generated": 0}
    titles = [title_of("joint_pose_expression", {"generated": n}) for n in (0, 5, 10)]
    assert titles == ["joint model, 0N", "joint model, 5N", "joint_pose_expression, generated 10"]
