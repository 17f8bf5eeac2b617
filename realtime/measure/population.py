"""``python -m realtime.measure.population``: what a model says of many faces.

realtime.reference says what for. It reads a prepared folder (faces.npy and labels.csv, as
`python -m train prepare` writes them) and runs the ONNX file itself, so it needs no torch and
describes exactly what is shipped. The numbers go into a file beside the model and not into its
metadata: a model's hash, and with it every quantised copy and every plan that names it, stays what
it was.
"""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from engine.contract import EngineError
from engine.measure.face_data import read_faces
from engine.output import check_writable, printing
from realtime.align import TEMPLATE
from realtime.faces import EXPRESSIONS
from realtime.head import turned_head
from realtime.measure.vary import moved_and_lit
from realtime.number_file import ReferenceFileError
from realtime.population import Population, centred_logits, population_file, weights_of
from realtime.recognise import Recogniser
from realtime.reference import Form

BATCH = 64
TURNS = ((15, 0), (-15, 0), (0, 12), (0, -12))
"""Yaw and pitch, in degrees, by which resting faces are turned."""
STRONG = 0.9
"""Share of an expression's faces that are weaker than its strongest usual one."""


@dataclass(frozen=True)
class Options:
    """Measure the population of a face model and write it beside the model."""

    data: Path
    """A prepared folder; its training faces are used."""
    model: str = "ipd_fer"
    """A model file, or the name of a shipped one."""
    output: Path | None = None
    """File to write instead of NAME.reference.json beside the model."""
    people: int = 300
    """Resting faces that are varied and turned."""
    variants: int = 12
    """Pictures of each of them."""
    seed: int = 0


def population_command(arguments: list[str]) -> int:
    options = tyro.cli(Options, prog="python -m realtime.measure.population", args=arguments)
    try:
        _measure(options)
    except (EngineError, ReferenceFileError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _measure(options: Options) -> None:
    faces, labels = training_faces(options.data)
    with closing(Recogniser(options.model, precision="fp32")) as recogniser:
        output = options.output or population_file(recogniser.session.path)
        check_writable(output)
        logits, _ = centred(recogniser, faces)
        resting = np.flatnonzero(labels == 0)
        random = np.random.default_rng(options.seed)
        chosen = np.sort(random.permutation(resting)[: options.people])
        people = list(faces[chosen])
        wander = wander_of(recogniser, people, options.variants, random)
        population = Population(
            model=weights_of(recogniser.session),
            rest=logits[resting].mean(axis=0),
            rest_spread=logits[resting].std(axis=0, ddof=1),
            wander=wander,
            turn=turn_of(recogniser, people, wander),
            strongest=np.array(
                [np.quantile(logits[labels == k, k], STRONG) for k in range(len(EXPRESSIONS))]
            ),
        )
    population.save(output)
    Population.load(output, population.model)
    print(f"{output}: {len(resting)} resting faces of {len(faces)}, {len(chosen)} of them varied")


def training_faces(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The labelled training faces (uint8 (n, 112, 112, 3), RGB) and their labels, indices of
    EXPRESSIONS. EngineError where the folder is not prepared, ReferenceFileError where an
    expression lacks faces."""
    data = read_faces(folder, "train")
    names = np.array(data.labels or [""] * len(data.faces))
    used = np.isin(names, EXPRESSIONS)
    labels = np.array([EXPRESSIONS.index(name) for name in names[used]], dtype=int)
    if np.bincount(labels, minlength=len(EXPRESSIONS)).min() < 2:
        raise ReferenceFileError(f"{folder} needs training faces of each expression and of rest.")
    return data.faces[used], labels


def centred(recogniser: Recogniser, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centred logits (n, 8) and yaw, pitch, roll (n, 3) of aligned faces."""
    probabilities, poses = [], []
    for start in range(0, len(faces), BATCH):
        part = faces[start : start + BATCH]
        for expression, pose in recogniser.recognise(part, [0.0] * len(part)):
            probabilities.append(expression)
            poses.append((pose.yaw, pose.pitch, pose.roll))
    return centred_logits(np.array(probabilities)), np.array(poses)


def wander_of(
    recogniser: Recogniser, people: list[np.ndarray], variants: int, random: np.random.Generator
) -> np.ndarray:
    """How far one face's logits wander while it rests, (8,): the median over people, since a few
    pictures are so poor that any noise moves them."""
    spreads = []
    for face in people:
        pictures = np.stack([moved_and_lit(face, random, 2.0, 1.4) for _ in range(variants)])
        spreads.append(centred(recogniser, pictures)[0].var(axis=0, ddof=1))
    return np.sqrt(np.median(spreads, axis=0))


def turn_of(recogniser: Recogniser, people: list[np.ndarray], wander: np.ndarray) -> np.ndarray:
    """By how much logits of a resting face move, (8,), for each 10 degrees beyond Form.turn_free
    that the measured pose has turned, beyond what two pictures differ anyway; by least squares."""
    before, pose = centred(recogniser, np.stack(people))
    moved, turned = [], []
    for yaw, pitch in TURNS:
        pictures = np.stack([turned_head(face, TEMPLATE, yaw, pitch) for face in people])
        after, new_pose = centred(recogniser, pictures)
        turn = np.hypot(*(new_pose - pose)[:, :2].T)
        moved.append((after - before) ** 2 - 2 * wander**2)
        turned.append((np.maximum(turn - Form().turn_free, 0) / 10) ** 2)
    added, square = np.concatenate(moved), np.concatenate(turned)
    if not square.any():
        return np.zeros(len(EXPRESSIONS))
    return np.sqrt(np.maximum(square @ added, 0) / (square @ square))


if __name__ == "__main__":
    sys.exit(printing(lambda: population_command(sys.argv[1:])))
