"""Checkpoints from before networks and updates had the names of the papers go on as if they were
of now, and an ablation is a weight of 0."""

import dataclasses

import pytest
import torch

import train.recipes.ipd_fer as ipd_fer
from tests.train.recipes import test_fdrl, test_ipd_fer, test_joint_pose_expression, test_tdgan
from tests.train.recipes.test_ipd_fer import make_batch, one_sample, totals
from tests.train.training import assert_same
from train.figures.tdgan import load_tdgan
from train.recipes.recipe import Recipe
from train.runs.checkpoint import load_state, save_state
from train.runs.folder import RunFolder, plain

pytestmark = pytest.mark.usefixtures("stand_in_identity")

IPD_FER = {"model": "0", "G_dec": "1", "D": "2"}
JOINT = {"G.G_enc": "generator.encoder", "G.G_dec": "generator.decoder", "D_att": "attributes"}
JOINT |= {"D_i": "prior"}
TDGAN = {"G.E_f": "generator.faces", "G.E_e": "generator.expressions", "D_f": "judge_f"}
TDGAN |= {"G.Emb": "generator.embedding", "G.D_g": "generator.decoder", "D_e": "judge_e"}
UPDATES = {"G": "generator", "D": "discriminator", "D_att": "attributes", "D_i": "prior"}
UPDATES |= {"D_f": "judge_f", "D_e": "judge_e"}


def named(name: str, names: dict[str, str]) -> str:
    (new,) = (each for each in names if name.startswith(f"{each}."))
    return names[new] + name.removeprefix(new)


def as_it_was(state: dict, names: dict[str, str]) -> dict:
    """The state as earlier versions kept it; names: what they called the networks."""
    then = {
        part: {UPDATES.get(name, name): value for name, value in state[part].items()}
        for part in ("optimizers", "schedules")
    }
    own = {"model": {}, "centres": {}, "networks": {}}
    for name, value in state["networks"].items():
        part, _, rest = name.partition(".")
        if part in own and part not in names:
            own[part][rest] = value
        else:
            own["networks"][named(name, names)] = value
    then |= {part: values for part, values in own.items() if values}
    for part in ("optimizer", "schedule"):
        if "model" in then[f"{part}s"]:
            then[part] = then[f"{part}s"].pop("model")
    return then


@pytest.fixture
def recipes(data, tiny_data, people):
    """Of each recipe that has networks of its own how to make it, its batch, the names of then."""
    batch = test_fdrl.make_batch(data)
    joint, tdgan = test_joint_pose_expression.make_recipe, test_tdgan.make_recipe

    def ipd_fer(**changes):
        return test_ipd_fer.make_recipe(data, tiny_data, **changes)

    return {
        "ipd_fer": (ipd_fer, lambda recipe: make_batch(recipe, data), IPD_FER),
        "fdrl": (lambda **changes: test_fdrl.make_recipe(data, **changes), lambda _: batch, {}),
        "joint": (lambda **changes: joint(data, **changes), lambda _: batch, JOINT),
        "tdgan": (lambda **changes: tdgan(data, people, **changes), lambda _: batch, TDGAN),
    }


@pytest.mark.parametrize("name", ["ipd_fer", "fdrl", "joint", "tdgan"])
def test_training_goes_on_from_a_checkpoint_of_then(name, recipes, tmp_path):
    make, batch_of, names = recipes[name]
    trained: Recipe = make()
    batch = batch_of(trained)
    trained.step(batch)
    then = as_it_was(trained.state(), names)
    assert "model" not in {key.partition(".")[0] for key in then.get("networks", {})}

    other: Recipe = make(rate=0.5)
    other.step(batch)
    save_state(tmp_path / "last.safetensors", then)
    other.load_state(load_state(tmp_path / "last.safetensors"))
    assert_same(other.state()["networks"], trained.state()["networks"])
    found = []
    for recipe in (trained, other):
        torch.manual_seed(1)
        found.append({key: loss.item() for key, loss in recipe.step(batch).items()})
    assert found[0] == found[1]
    assert_same(other.state()["networks"], trained.state()["networks"])


def test_the_generator_of_then_is_found(recipes, people, tmp_path, data):
    make, _, names = recipes["tdgan"]
    trained = make()
    options = dataclasses.replace(test_tdgan.OPTIONS, faces=people)
    config = {"recipe": "tdgan", "classes": list(data.classes), "options": plain(options)}
    RunFolder(tmp_path).start(config, resume=False)
    save_state(RunFolder(tmp_path).last, {"recipe": as_it_was(trained.state(), names)})
    generator, _, _ = load_tdgan(tmp_path)
    assert_same(generator.state_dict(), trained.plain("G").state_dict())


ZEROES = {
    "confusion": {"beta2": 0.0},
    "cos": {"beta1": 0.0},
    "id": {"lambda3": 0.0},
    "discriminator": {"lambda1": 0.0, "lambda2": 0.0},
}
FUNCTIONS = {
    "confusion": ["confusion_loss"],
    "cos": ["cosine_loss"],
    "id": ["identity_loss"],
    "discriminator": ["neutral_loss", "synthesis_loss", "real_loss"],
}


@pytest.mark.parametrize("switch", ZEROES)
def test_a_switch_is_a_weight_of_0_whose_term_is_not_computed(switch, data, tiny_data, monkeypatch):
    def computed(*_):
        raise AssertionError("a term without weight is computed")

    for name in FUNCTIONS[switch]:
        monkeypatch.setattr(ipd_fer, name, computed)
    both = []
    for changes in ({switch: False}, ZEROES[switch]):
        recipe = test_ipd_fer.make_recipe(data, tiny_data, **changes)
        torch.manual_seed(1)
        sample = one_sample(recipe, data)
        both.append((totals(recipe, sample), set(recipe.optimizers), set(recipe.losses)))
        recipe.update_D(sample)
    assert both[0] == both[1]
