"""Several prepared folders as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from train.data.prepared import (
    AGAIN,
    LabelledFace,
    read_labelled,
    read_prepared,
    write_prepared,
)
from train.datasets.prepare import tell
from train.errors import UserError
from train.files import read_json


def join_prepared(sources: Sequence[Path], output: Path) -> dict[str, int]:
    """Write to `output` all of the first prepared folder, and the faces of the others without
    their labels: split "unlabelled", no votes. Returns the number of faces in each split.

    UserError where the faces differ in colour, or `output` is one of the sources.
    """
    if len(sources) < 2:
        raise UserError("Give at least two prepared folders to join.")
    if output.resolve() in {source.resolve() for source in sources}:
        raise UserError(f"{output} is one of the folders to join: give another --output.")
    first, *others = parts = [read_prepared(source) for source in sources]
    channels = {part.faces.shape[3] for part in parts}
    if len(channels) > 1:
        raise UserError("Some of the faces are grey and some RGB: prepare all with --grey.")
    abouts = [read_json(source / "prepared.json", AGAIN) for source in sources]
    joined = (
        pair
        for source, part in zip(sources[1:], others, strict=True)
        for pair in _without_labels(read_labelled(source, part), len(first.classes))
    )
    return write_prepared(
        output,
        " + ".join(about["dataset"] for about in abouts),
        first.classes,
        abouts[0]["pose_from"],
        chain(read_labelled(sources[0], first), joined),
        sum(map(len, parts)),
        *channels,
    )


def _without_labels(
    rows: Iterator[tuple[LabelledFace, np.ndarray]], classes: int
) -> Iterator[tuple[LabelledFace, np.ndarray]]:
    for row, face in rows:
        yield replace(row, split="unlabelled", label="", votes=(0,) * classes), face


@dataclass(frozen=True)
class PrepareJoin:
    """The first prepared folder, and the faces of the others without their labels."""

    sources: tuple[Path, ...]
    """Prepared folders; the first gives the splits and the classes."""
    output: Path
    """Folder to write the prepared faces to."""

    def run(self) -> None:
        tell(self.output, join_prepared(self.sources, self.output))
