"""The methods that are compared with each other, by name. A new one is a line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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

SWITCHES = ("pose", "confusion", "cos", "id", "discriminator")
"""Of IPD-FER; the last four are the columns of Table 9."""

FDRL_SWITCHES = ("fdn", "intra", "inter")
"""The columns of FDRL's Table 2."""

TDGAN_SWITCHES = ("gan", "dic")
"""CNN-Base, and the row of TDGAN's Table V."""

ALL_SWITCHES = SWITCHES + FDRL_SWITCHES + TDGAN_SWITCHES

VALUES = ("generated",)
"""Options that make one recipe several methods by their values."""


def switched_off(options: Mapping) -> tuple[str, ...]:
    """The switches that a recipe's options, as config.json holds them, turn off."""
    return tuple(name for name in ALL_SWITCHES if options.get(name) is False)


def title_of(recipe: str, options: Mapping) -> str:
    """What to call the method of a run; options as config.json holds them."""
    off = switched_off(options)
    known = (method for method in METHODS.values() if method.has_values(options))
    titles = {(method.recipe, method.without): method.title for method in known}
    if (recipe, off) in titles:
        return titles[recipe, off]
    values = "".join(f", {name} {options[name]}" for name in VALUES if name in options)
    without = f" without {', '.join(off)}" if off else ""
    return f"{titles.get((recipe, ()), recipe)}{without}{values}"
