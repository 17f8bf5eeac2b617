"""The methods that are compared with each other, by name. A new one is a line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """A recipe, and which of its switches are off."""

    title: str
    recipe: str
    without: tuple[str, ...] = ()


METHODS = {
    "baseline": Method("baseline", "baseline"),
    "id_fer": Method("ID-FER", "ipd_fer", without=("pose",)),
    "ipd_fer": Method("IPD-FER", "ipd_fer"),
    "no_confusion": Method("IPD-FER without L_confusion", "ipd_fer", without=("confusion",)),
    "no_cos": Method("IPD-FER without L_cos", "ipd_fer", without=("cos",)),
    "no_id": Method("IPD-FER without L_id", "ipd_fer", without=("id",)),
    "no_discriminator": Method("IPD-FER without D", "ipd_fer", without=("discriminator",)),
}

SWITCHES = ("pose", "confusion", "cos", "id", "discriminator")
"""Of IPD-FER; the last four are the columns of Table 9."""


def switched_off(options: Mapping) -> tuple[str, ...]:
    """The switches that a recipe's options, as config.json holds them, turn off."""
    return tuple(name for name in SWITCHES if options.get(name) is False)


def title_of(recipe: str, options: Mapping) -> str:
    """What to call the method of a run; options as config.json holds them."""
    off = switched_off(options)
    titles = {(method.recipe, method.without): method.title for method in METHODS.values()}
    if (recipe, off) in titles:
        return titles[recipe, off]
    return f"{titles.get((recipe, ()), recipe)}{' without ' + ', '.join(off) if off else ''}"
