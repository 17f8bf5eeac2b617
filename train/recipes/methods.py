"""The methods that are compared with each other, by name, as the recipes declare them."""

from __future__ import annotations

from collections.abc import Mapping

from train.recipes import RECIPES
from train.recipes.described import Method
from train.recipes.recipe import Recipe

METHODS: dict[str, tuple[str, Method]] = {
    method_name: (name, method)
    for name, recipe in RECIPES.items()
    # Not those of a recipe that it builds on.
    for method_name, method in vars(recipe).get("methods", {}).items()
}
"""Of each the name of its recipe, and what it is."""


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
    known = [method for name, method in METHODS.values() if name == recipe]
    titles = {method.without: method.title for method in known if method.has_values(options)}
    if off in titles:
        return titles[off]
    valued = (name for name in _kind(recipe).values if name in options)
    values = "".join(f", {name} {options[name]}" for name in valued)
    without = f" without {', '.join(off)}" if off else ""
    return f"{titles.get((), recipe)}{without}{values}"


def _kind(recipe: str) -> type[Recipe]:
    return RECIPES.get(recipe, Recipe)
