"""The methods that are compared with each other, by name. A new one is a line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from train.recipes import RECIPES
from train.recipes.recipe import Recipe

INCEPTION = {
    "resnet18": "inception",
    "resnet18-half": "inception-56",
    "resnet18-quarter": "inception-56-half",
}
"""The encoder of TDGAN's Table I that costs as much as a residual one, whose batch normalisation
lets TDGAN's generator make the same picture of all faces."""


@dataclass(frozen=True)
class Method:
    """A recipe, which of its switches are off, values of others of its options, and the encoders
    that it has instead of those of the comparison."""

    title: str
    recipe: str
    without: tuple[str, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)

    def has_values(self, options: Mapping) -> bool:
        """Whether a recipe's options, as config.json holds them, have the values."""
        return all(options.get(name) == value for name, value in self.values.items())


METHODS = {
    "baseline": Method("baseline", "baseline"),
    "id_fer": Method("ID-FER", "ipd_fer", without=("pose",)),
    "ipd_fer": Method("IPD-FER", "ipd_fer"),
    "no_confusion": Method("IPD-FER without L_confusion", "ipd_fer", without=("confusion",)),
    "no_cos": Method("IPD-FER without L_cos", "ipd_fer", without=("cos",)),
    "no_id": Method("IPD-FER without L_id", "ipd_fer", without=("id",)),
    "no_discriminator": Method("IPD-FER without D", "ipd_fer", without=("discriminator",)),
    "fdrl": Method("FDRL", "fdrl"),
    "joint_0n": Method("joint model, 0N", "joint_pose_expression", values={"generated": 0}),
    "joint_5n": Method("joint model, 5N", "joint_pose_expression", values={"generated": 5}),
    "tdgan_base": Method("TDGAN's CNN-Base", "tdgan", without=("gan",), networks=INCEPTION),
    "tdgan_no_dic": Method("TDGAN without DIC", "tdgan", without=("dic",), networks=INCEPTION),
    "tdgan": Method("TDGAN", "tdgan", networks=INCEPTION),
}


def switched_off(recipe: str, options: Mapping) -> tuple[str, ...]:
    """The switches of a recipe that its options, as config.json holds them, turn off: by
    themselves, or by weights of 0."""
    return tuple(
        name
        for name, weights in _kind(recipe).switches.items()
        if options.get(name) is False
        or (weights and all(options.get(weight) == 0 for weight in weights))
    )


def in_force(recipe: str, options: Mapping) -> dict:
    """The options, whichever way a switch was turned off: it is off and its weights are 0."""
    off, switches = switched_off(recipe, options), _kind(recipe).switches
    zeroes = {weight: 0.0 for name in off for weight in switches[name] if weight in options}
    return {**options, **{name: False for name in off if name in options}, **zeroes}


def title_of(recipe: str, options: Mapping) -> str:
    """What to call the method of a run; options as config.json holds them."""
    off = switched_off(recipe, options)
    known = (method for method in METHODS.values() if method.has_values(options))
    titles = {(method.recipe, method.without): method.title for method in known}
    if (recipe, off) in titles:
        return titles[recipe, off]
    valued = (name for name in _kind(recipe).values if name in options)
    values = "".join(f", {name} {options[name]}" for name in valued)
    without = f" without {', '.join(off)}" if off else ""
    return f"{titles.get((recipe, ()), recipe)}{without}{values}"


def _kind(recipe: str) -> type[Recipe]:
    return RECIPES.get(recipe, Recipe)
