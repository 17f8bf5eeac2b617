"""Faces without expression labels: for face pre-training and for distillation."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from train.data.folders import SUFFIXES
from train.data.pictures import Picture
from train.data.prepared import AGAIN, SPLITS, prepared_files, read_prepared
from train.errors import DataError
from train.files import read_json


def list_unlabelled(source: Path) -> list[Picture]:
    """All pictures below `source`, in folders of any depth; DataError where there are none."""
    if not source.is_dir():
        raise DataError(f"{source} is not a folder.")
    paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise DataError(f"{source} has no pictures in it.")
    return [
        Picture(path.relative_to(source).as_posix(), "unlabelled", "", path) for path in paths
    ]


def join_prepared(sources: Sequence[Path], output: Path) -> dict[str, int]:
    """Write to `output` all of the first prepared folder, and the faces of the others without
    their labels: split "unlabelled", no votes. Returns the number of faces in each split.

    DataError where the faces differ in colour, or `output` is one of the sources.
    """
    if len(sources) < 2:
        raise DataError("Give at least two prepared folders to join.")
    if output.resolve() in {source.resolve() for source in sources}:
        raise DataError(f"{output} is one of the folders to join: give another --output.")
    parts = [read_prepared(source) for source in sources]
    channels = {part.faces.shape[3] for part in parts}
    if len(channels) > 1:
        raise DataError("Some of the faces are grey and some RGB: prepare all with --grey.")
    shape = (sum(map(len, parts)), *parts[0].faces.shape[1:])
    abouts = [read_json(source / "prepared.json", AGAIN) for source in sources]
    about = dict(abouts[0])
    about["dataset"] = " + ".join(each["dataset"] for each in abouts)
    with prepared_files(output, about) as (faces_part, labels_part):
        faces = np.lib.format.open_memmap(faces_part, mode="w+", dtype=np.uint8, shape=shape)
        start = 0
        for part in parts:
            faces[start : start + len(part)] = part.faces
            start += len(part)
        faces.flush()
        del faces
        about["counts"] = _join_labels(sources, labels_part)
    return about["counts"]


def _join_labels(sources: Sequence[Path], path: Path) -> dict[str, int]:
    counts = dict.fromkeys(SPLITS, 0)
    with open(path, "w", newline="", encoding="utf-8") as file:
        for source in sources:
            with open(source / "labels.csv", newline="", encoding="utf-8") as other:
                rows = csv.DictReader(other)
                if source == sources[0]:
                    votes = [name for name in rows.fieldnames if name.startswith("votes_")]
                    writer = csv.DictWriter(file, rows.fieldnames, extrasaction="ignore")
                    writer.writeheader()
                for row in rows:
                    if source != sources[0]:
                        row |= dict.fromkeys(votes, 0) | {"split": "unlabelled", "label": ""}
                    counts[row["split"]] += 1
                    writer.writerow(row)
    return counts
