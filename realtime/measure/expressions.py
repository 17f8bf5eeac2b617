"""What a reference of rest does to other expressions than smiles, on labelled faces of strangers.

No neutral pictures of the same people are known, so each face is read as if its person rested as
people do on average. That tells what becomes of an expression that is there; of resting faces it
tells nothing, for nobody rests like that.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.measure.face_data import read_faces
from realtime.faces import EXPRESSIONS
from realtime.population import Population
from realtime.recognise import Recogniser
from realtime.reference import AHEAD, Reference

BATCH = 64
FRAMES = 60
"""How well the average rest is taken to be known: as after two seconds."""


def expression_table(population: Population, recogniser: Recogniser, folder: Path) -> None:
    """Prints recall by expression on the test faces of a prepared folder, without a reference, with
    nobody's and with the average rest. EngineError where the folder is not prepared."""
    probabilities, labels = _read(recogniser, folder)
    nobody = Reference.of_nobody(population)
    average = Reference(population, population.rest, np.diag(population.wander**2), FRAMES, AHEAD)
    ways = {
        "the network alone": probabilities,
        "nobody's reference": np.array([nobody.read(each) for each in probabilities]),
        "the average rest": np.array([average.read(each) for each in probabilities]),
    }
    known = np.unique(labels)
    names = [f"{EXPRESSIONS[k]} ({(labels == k).sum()})" for k in known]
    print("\n| prepared faces | accuracy | labels changed | " + " | ".join(names) + " |")
    print("|---|---|---|" + "---|" * len(names))
    for way, read in ways.items():
        said = read.argmax(axis=1)
        changed = (said != probabilities.argmax(axis=1)).mean()
        recall = [(said[labels == k] == k).mean() for k in known]
        cells = " | ".join(f"{each:.0%}" for each in recall)
        print(f"| {way} | {(said == labels).mean():.1%} | {changed:.1%} | {cells} |")


def _read(recogniser: Recogniser, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, 8) and labels, indices of EXPRESSIONS (n,), of the labelled test faces."""
    data = read_faces(folder, "test")
    names = np.array(data.labels or [""] * len(data.faces))
    used = np.flatnonzero(np.isin(names, EXPRESSIONS))
    found: list[np.ndarray] = []
    for rows in np.split(used, range(BATCH, len(used), BATCH)):
        found += [one for one, _ in recogniser.recognise(data.faces[rows], [0.0] * len(rows))]
    return np.array(found), np.array([EXPRESSIONS.index(names[row]) for row in used])
