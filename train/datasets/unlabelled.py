"""Faces without expression labels: for face pre-training and for distillation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from realtime.faces import EXPRESSIONS
from train.data.pictures import SUFFIXES, Picture
from train.datasets.prepare import Prepare
from train.errors import UserError


def list_unlabelled(source: Path) -> list[Picture]:
    """All pictures below `source`, in folders of any depth; UserError where there are none."""
    if not source.is_dir():
        raise UserError(f"{source} is not a folder.")
    paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise UserError(f"{source} has no pictures in it.")
    return [Picture(path.relative_to(source).as_posix(), "unlabelled", "", path) for path in paths]


@dataclass(frozen=True)
class PrepareUnlabelled(Prepare):
    """Any pictures of faces, without expressions: for `fit pretrain` and `fit distill`."""

    output: Path = Path("data/unlabelled")
    """Folder to write the prepared faces to."""

    def run(self) -> None:
        self.write(f"folder {self.source.name}", EXPRESSIONS, list_unlabelled(self.source))
