import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import train.recipes.tdgan as tdgan
from tests.train.people import NAMES
from tests.train.training import changed_by
from train.data.augmentation import Augmentation
from train.data.batches import FaceDataset
from train.data.people import People
from train.data.prepared import read_prepared
from train.fit import make_fabric
from train.networks.face_model import build_face_model
from train.networks.identity import Identity
from train.recipes.tdgan import Tdgan, TdganOptions

OPTIONS = TdganOptions(network="resnet10-half", dropout=0.0, rate=1e-3, decoder_width=4)
PARTS = ("E_e", "M_ER", "pose", "E_f", "Emb", "D_g", "D_f", "D_e")


def make_recipe(data, people, precision="32-true", **changes) -> Tdgan:
    torch.manual_seed(0)
    recipe = Tdgan(dataclasses.replace(OPTIONS, faces=people, **changes), data.classes)
    recipe.setup(make_fabric("cpu", precision), steps=400)
    return recipe


def make_batch(data, count=6):
    return FaceDataset(data, data.rows("train")).__getitems__(list(range(count)))


def parts(recipe) -> dict[str, nn.Module]:
    G, expression = recipe.plain("G"), recipe.model.expression
    modules = (
        expression.encoder, expression.classifier, recipe.model.pose, G.E_f,
        G.Emb, G.D_g, recipe.D_f, recipe.D_e,
    )  # fmt: skip
    return dict(zip(PARTS, modules, strict=True))


def with_gradient(recipe) -> set[str]:
    return {
        name for name, part in parts(recipe).items()
        if any(w.grad is not None and w.grad.any() for w in part.parameters())
    }  # fmt: skip


def generated(recipe, batch):
    sample, pose = recipe._see(batch)
    return sample, pose, recipe.G(
        sample.i_f, sample.i_e, recipe.plain("G").noise(sample.i_f)
    )  # fmt: skip


# The updates.


def test_each_update_changes_what_it_may_and_leaves_no_gradient(data, people):
    recipe, batch = make_recipe(data, people), make_batch(data)
    sample, pose, made = generated(recipe, batch)
    updates = {
        ("D_f",): lambda: recipe.update_D_f(sample, made.image.detach()),
        ("D_e",): lambda: recipe.update_D_e(sample),
        ("M_ER", "pose"): lambda: recipe.update_M_ER(sample, made.d_e, batch, pose),
        ("E_e", "E_f", "Emb", "D_g"): lambda: recipe.update_G(sample, made),
    }
    for changed, update in updates.items():
        assert changed_by(parts(recipe), update) == set(changed)
        for name, part in parts(recipe).items():
            assert all(weight.grad is None for weight in part.parameters()), (changed, name)
            assert all(weight.requires_grad for weight in part.parameters())
            assert all(module.training for module in part.modules())


def test_the_gradient_of_m_er_ends_at_the_representation(data, people, monkeypatch):
    recipe, batch = make_recipe(data, people), make_batch(data)
    sample, pose, made = generated(recipe, batch)
    monkeypatch.setattr(recipe, "descend", lambda name, loss: None)
    recipe.update_M_ER(sample, made.d_e, batch, pose)["expression"].backward()
    assert with_gradient(recipe) == {"M_ER"}


def test_discriminators_and_the_frozen_network_get_no_gradient_from_the_generator(
    data, people, monkeypatch
):
    identity = Identity(Columns(), 112, 8)
    monkeypatch.setattr(tdgan, "load_identity", lambda spec: identity)
    recipe = make_recipe(data, people, perceptual="stand-in")
    sample, _, made = generated(recipe, make_batch(data))
    monkeypatch.setattr(recipe, "descend", lambda name, loss: loss.backward())
    recipe.update_G(sample, made)
    assert with_gradient(recipe) == {"E_e", "E_f", "Emb", "D_g"}
    assert all(w.grad is None and not w.requires_grad for w in identity.parameters())
    assert all(w.requires_grad for name in ("D_f", "D_e") for w in parts(recipe)[name].parameters())


class Columns(nn.Module):
    """A stand-in recognition network: what each column of the face is like."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(96))

    def forward(self, pixels):
        return pixels.mean(dim=(1, 2)) @ self.weight


def test_with_a_frozen_network_l_p_is_of_its_features(data, people, monkeypatch):
    monkeypatch.setattr(tdgan, "load_identity", lambda spec: Identity(Columns(), 112, 8))
    recipe = make_recipe(data, people, perceptual="stand-in", lambda_p=2.0)
    sample, _, made = generated(recipe, make_batch(data))
    found = recipe._perceptual(sample, made)
    expected = 2 * (recipe.identity(sample.i_f) - recipe.identity(made.image)).abs().mean()
    assert found.item() == pytest.approx(expected.item()) and expected > 0


def test_l_p_is_of_e_f_which_learns_nothing_from_being_the_yardstick(data, people):
    recipe = make_recipe(data, people, network="inception-56", lambda_p=2.0)
    sample, _, made = generated(recipe, make_batch(data, 2))
    i_g = made.image.detach().requires_grad_()
    found = recipe._perceptual(sample, made._replace(image=i_g))
    expected = 2 * (made.d_f - recipe.plain("G").E_f.maps(i_g)).abs().mean()
    torch.testing.assert_close(found, expected)
    found.backward()
    assert i_g.grad.any() and not with_gradient(recipe)
    assert all(weight.requires_grad for weight in recipe.plain("G").E_f.parameters())


TERMS = {"lambda_gf": 0.0, "lambda_ge": 0.0, "lambda_d": 0.0, "lambda_p": 0.0}


@pytest.mark.parametrize("term", TERMS)
def test_each_term_reaches_both_branches(data, people, monkeypatch, term):
    recipe = make_recipe(data, people, **(TERMS | {term: 1.0}))
    sample, _, made = generated(recipe, make_batch(data))
    monkeypatch.setattr(recipe, "descend", lambda name, loss: loss.backward())
    recipe.update_G(sample, made)
    assert with_gradient(recipe) == {"E_e", "E_f", "Emb", "D_g"}


def test_the_generator_descends_equation_9(data, people, monkeypatch):
    weights = {"lambda_gf": 2.0, "lambda_ge": 3.0, "lambda_d": 5.0, "lambda_p": 7.0}
    recipe, seen = make_recipe(data, people, **weights), {}
    monkeypatch.setattr(recipe, "descend", lambda name, loss: seen.update({name: loss.item()}))
    sample, _, made = generated(recipe, make_batch(data))
    losses = {name: loss.item() for name, loss in recipe.update_G(sample, made).items()}
    expected = 2 * losses["person_of_made"] + 3 * losses["expression_of_made"]
    expected += losses["consistency"] + losses["perceptual"]
    assert seen == {"G": pytest.approx(expected, rel=1e-5)}


def test_the_discriminators_ascend_equation_5(data, people):
    recipe = make_recipe(data, people, judge_every=1)
    sample, _, made = generated(recipe, make_batch(data))

    def update():
        i_g = made.image.detach()
        losses = recipe.update_D_f(sample, i_g) | recipe.update_D_e(sample)
        return {name: loss.item() for name, loss in losses.items()}

    first = update()
    assert set(first) == {"judge_f", "judge_e"} and all(loss > 0 for loss in first.values())
    for _ in range(8):
        last = update()
    assert all(last[name] < loss for name, loss in first.items())


def test_d_f_is_updated_at_every_so_many_th_step(data, people, monkeypatch):
    recipe, batch = make_recipe(data, people, judge_every=3), make_batch(data, 4)
    updated, descend = [], recipe.descend
    monkeypatch.setattr(
        recipe, "descend", lambda name, loss: (updated.append(name), descend(name, loss))
    )
    losses = [recipe.step(batch)["judge_f"].item() for _ in range(4)]
    judges = [name for name in updated if name.startswith("D_")]
    assert judges == ["D_e", "D_f", "D_e", "D_e", "D_e", "D_f"]
    assert losses[1] == losses[2] == 0 and losses[0] > 3 * 0.5, "as if of all three"


def test_made_faces_are_shown_to_d_f_alone_and_as_fake(data, people, monkeypatch):
    recipe = make_recipe(data, people)
    sample, _, made = generated(recipe, make_batch(data))
    seen, values = {}, []
    for name in ("D_f", "D_e"):
        getattr(recipe, name).register_forward_pre_hook(
            lambda module, inputs, name=name: seen.update({name: inputs[0]})
        )
    value = tdgan.face_value
    monkeypatch.setattr(tdgan, "face_value", lambda *what: (values.append(what), value(*what))[1])
    recipe.update_D_f(sample, made.image.detach())
    recipe.update_D_e(sample)
    assert torch.equal(seen["D_f"], torch.cat([sample.i_f, made.image]))
    assert torch.equal(seen["D_e"], sample.i_e)
    real, person, fake = values[0]
    assert real.shape == fake.shape == (6, len(NAMES) + 1) and torch.equal(person, sample.person)


def test_both_inputs_are_made_again_by_the_right_branches(data, people, monkeypatch):
    """Î_f = G(I_g, I_f) and Î_e = G(I_e, I_g)."""
    recipe = make_recipe(data, people)
    sample, _, made = generated(recipe, make_batch(data))
    seen, compared, i_g = [], [], made.image
    recipe.G.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    loss = tdgan.consistency_loss
    monkeypatch.setattr(
        tdgan, "consistency_loss", lambda *what: (compared.append(what), loss(*what))[1]
    )
    recipe._consistency(sample, i_g)
    faces, expressions, _ = seen[0]
    assert torch.equal(faces, torch.cat([i_g, sample.i_e]))
    assert torch.equal(expressions, torch.cat([sample.i_f, i_g]))
    remade_f, i_f, remade_e, i_e, _ = compared[0]
    assert torch.equal(i_f, sample.i_f) and torch.equal(i_e, sample.i_e)
    assert not torch.equal(remade_f, remade_e) and remade_f.shape == i_f.shape


def test_without_dic_nothing_is_made_again(data, people):
    recipe = make_recipe(data, people, dic=False)
    sample, _, made = generated(recipe, make_batch(data))
    passes = []
    recipe.G.register_forward_pre_hook(lambda module, inputs: passes.append(inputs))
    losses = recipe.update_G(sample, made)
    assert not passes and set(losses) == {"person_of_made", "expression_of_made", "perceptual"}


def test_batch_normalisation_remembers_the_inputs_alone(data, people):
    recipe = make_recipe(data, people)
    sample, _, made = generated(recipe, make_batch(data))
    norms = [each for each in recipe.plain("G").modules() if isinstance(each, nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms]
    recipe.update_G(sample, made)
    assert norms and all(torch.equal(n.running_mean, b) for n, b in zip(norms, before, strict=True))
    assert all(norm.momentum == 0.1 for norm in norms)


# The pairs.


def test_people_are_drawn_at_random_from_the_training_faces(people):
    data = read_prepared(people)
    drawn = People(data)
    assert drawn.count == 3 and set(drawn.rows) == set(data.rows("train"))
    torch.manual_seed(0)
    faces, person = drawn.draw(200)
    assert faces.shape == (200, 112, 112, 1) and faces.dtype == torch.uint8
    columns = [faces[:, 56, 16 + 36 * k, 0] > 150 for k in range(3)]
    assert torch.equal(torch.stack(columns).int().argmax(dim=0), person)
    assert torch.bincount(person).min() > 40
    assert not torch.equal(person, person.sort().values), "pairs are not made in any order"


def test_faces_keep_their_looks_and_expressions_are_augmented(data, people):
    changes = Augmentation(rotation=0, shift=0, zoom=0, light=0.9, erase=1.0, blur=0)
    recipe, batch = make_recipe(data, people, augmentation=changes), make_batch(data)
    sample, _ = recipe._see(batch)
    look = recipe.model.expression_input
    known = look(torch.from_numpy(np.array(recipe.people.faces)))
    known = torch.cat([known, known.flip(3)])
    nearest = (sample.i_f[:, None] - known[None]).abs().amax(dim=(2, 3, 4)).amin(dim=1)
    assert nearest.max() < 1e-3
    either_way = torch.stack([sample.i_e, sample.i_e.flip(3)])
    changed = (either_way - look(batch.faces)).abs().amax(dim=(2, 3, 4)).amin(dim=0)
    assert changed.min() > 0.05


def test_soft_and_hard_labels_of_the_expressions(data, people):
    batch = make_batch(data)
    batch = dataclasses.replace(batch, target=torch.full_like(batch.target, 0.125))
    soft, _ = make_recipe(data, people)._see(batch)
    hard, _ = make_recipe(data, people, hard_labels=True)._see(batch)
    assert torch.equal(soft.expression, batch.target)
    assert torch.equal(hard.expression.argmax(dim=1), batch.label)


# CNN-Base.


def test_cnn_base_is_the_encoder_and_m_er_from_end_to_end(data):
    recipe, batch = make_recipe(data, None, gan=False, mixup=0.2), make_batch(data)
    full = make_recipe(data, None, gan=False)
    assert recipe.model.state_dict().keys() == full.model.state_dict().keys()
    moved = {"encoder": recipe.model.expression.encoder, "M_ER": recipe.model.expression.classifier,
             "pose": recipe.model.pose}  # fmt: skip
    assert changed_by(moved, lambda: recipe.step(batch)) == set(moved)
    assert set(recipe.step(batch)) == {"expression", "yaw_bin", "pose"}
    state = recipe.state()
    assert set(state["optimizers"]) == set(state["schedules"]) == {"model"}
    assert all(name.startswith("model.") for name in state["networks"])


def test_cnn_base_and_tdgan_keep_the_same_networks(data, people):
    both = [dataclasses.replace(OPTIONS, gan=gan) for gan in (True, False)]
    models = [build_face_model(Tdgan.architecture(options, 8)) for options in both]
    one, other = (
        {name: value.shape for name, value in model.state_dict().items()} for model in models
    )
    assert one == other
