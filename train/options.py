"""Bounds of the numbers that options may have, written where the option is."""

from __future__ import annotations

import dataclasses
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, get_args, get_origin, get_type_hints

from train.errors import UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Bounds:
    """From `low` to `high`, both included unless `above`, which leaves out `low`."""

    low: float
    high: float = sys.float_info.max
    above: bool = False

    def hold(self, value: float) -> bool:
        return (value > self.low if self.above else value >= self.low) and value <= self.high

    def __str__(self) -> str:
        low = f"above {self.low:g}" if self.above else f"{self.low:g} or more"
        if self.high >= sys.float_info.max:
            return "a finite number" if self.low <= -self.high else low
        return (
            f"{low} and at most {self.high:g}"
            if self.above
            else f"from {self.low:g} to {self.high:g}"
        )


Count = Annotated[int, Bounds(1)]
Seed = Annotated[int, Bounds(0, 40_000)]
"""The seeds of epochs are made of it, and have to stay below 2³²."""
Share = Annotated[float, Bounds(0, 1)]
BelowOne = Annotated[float, Bounds(0, 0.9999)]
Positive = Annotated[float, Bounds(0, above=True)]
NotNegative = Annotated[float, Bounds(0)]
Minutes = Annotated[float, Bounds(0, math.inf)]
FINITE = Bounds(-sys.float_info.max)


def check_options(options: DataclassInstance) -> None:
    """UserError for the first number in a dataclass, or in those inside it, that is out of its
    bounds, or is not finite where it has none."""
    hints = get_type_hints(type(options), include_extras=True)
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            check_options(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            _check(field.name, value, _bounds(hints[field.name]))


def _check(name: str, value: float, bounds: Bounds) -> None:
    if not bounds.hold(value):
        raise UserError(f"--{name.replace('_', '-')} {value:g}: it has to be {bounds}.")


def _bounds(hint: object) -> Bounds:
    """Those that a type has, or one of a union's types."""
    for part in (hint, *get_args(hint)):
        if get_origin(part) is Annotated:
            for mark in part.__metadata__:
                if isinstance(mark, Bounds):
                    return mark
    return FINITE
