"""A folder of pictures for each person, whose names become the classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from train.data.pictures import Picture
from train.datasets.folders import pictures_in, subfolders
from train.datasets.prepare import PrepareHeldOut
from train.errors import UserError
from train.options import Count


def list_people(source: Path, people: int | None = None) -> tuple[list[Picture], tuple[str, ...]]:
    """The pictures in the folders of `source`, each named after a person, and these names.

    people: the first so many that have pictures, by their names; all by default. All pictures are
    of the split train. UserError where there are not two people.
    """
    if not source.is_dir():
        raise UserError(f"{source} is not a folder.")
    of_person = {
        folder.name: pictures_in(source, folder, "train", folder.name)
        for folder in subfolders(source)
    }
    names = tuple(name for name, pictures in of_person.items() if pictures)[:people]
    if len(names) < 2:
        raise UserError(f"{source} should have a folder of pictures for each of several people.")
    return [picture for name in names for picture in of_person[name]], names


@dataclass(frozen=True)
class PreparePeople(PrepareHeldOut):
    """A folder of pictures for each person, whatever their expressions: for `fit tdgan --faces`."""

    output: Path = Path("data/people")
    """Folder to write the prepared faces to."""
    people: Count | None = None
    """The first so many, by the names of their folders; TDGAN's paper takes 20. All by default."""

    def run(self) -> None:
        pictures, names = list_people(self.source, self.people)
        self.write(f"people {self.source.name}", names, self.with_validation(pictures))
