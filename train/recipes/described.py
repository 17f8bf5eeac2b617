"""What a recipe says of itself to the commands that compare methods and judge made faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Method:
    """One method of a recipe, as a comparison has it: which of its switches are off, values of
    others of its options, and the encoders that it has instead of those of the comparison."""

    title: str
    without: tuple[str, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)

    def has_values(self, options: Mapping) -> bool:
        """Whether a recipe's options, as config.json holds them, have the values."""
        return all(options.get(name) == value for name, value in self.values.items())


@dataclass(frozen=True)
class Made:
    """Faces and what they should show. title: which they are. pixels: (n, 1 or 3, side, side), 0 to
    1. expression: classes, int64 (n,). yaw: degrees (n,), or the faces, pixels alike, that they
    should be turned like; None where nothing is said of it."""

    title: str
    pixels: Tensor
    expression: Tensor
    yaw: Tensor | None = None
