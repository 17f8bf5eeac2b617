"""``python -m realtime.measure.neutral``: what a person's own rest gains, from the London set."""

from __future__ import annotations

import itertools
import sys
import timeit
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from engine.contract import EngineError
from engine.output import printing
from realtime.detection.mtcnn import Detector, DetectorError
from realtime.faces import EXPRESSIONS
from realtime.measure.clips import clip_table
from realtime.measure.expressions import expression_table
from realtime.measure.london import CHANGES, Camera, Person, Readings, people
from realtime.number_file import ReferenceFileError
from realtime.population import Population
from realtime.recognise import Recogniser
from realtime.reference import Form, Reference

Reader = Callable[[int, Readings], np.ndarray]
"""Number of the person and pictures of it → probabilities (n, 8)."""

HAPPINESS = EXPRESSIONS.index("happiness")
FORMS = [
    Form(cap=cap, prior=prior)
    for cap, prior in itertools.product((3.0, 4.0, 6.0, 9.0), (12, 30, 60, 120))
]
"""What is chosen from where the formula is fitted on other people."""
FOLDS = 5
ALLOWED = 0.01
"""Share of resting faces that may be called something else."""
FEW = 8
"""People below which an ethnicity is not compared."""


@dataclass(frozen=True)
class Options:
    """Measure what a reference of the resting face gains."""

    london: Path
    """The folder of the London set."""
    data: Path | None = None
    """A prepared folder, for what a reference does to other expressions than smiles."""
    model: str = "ipd_fer"
    precision: str = "auto"
    variants: int = 24
    """Pictures of each photograph; half of the resting ones become the reference."""
    halves: int = 3
    """Random halves over which the tables are averaged."""
    rest_frames: int = 300
    """Frames at rest in each person's clip after the reference; 1000 take three times as long."""
    seed: int = 0


@dataclass(frozen=True)
class Seen:
    """One person's pictures: resting, smiling, and both under each change."""

    gender: str
    ethnicity: str
    rest: Readings
    smile: Readings
    changed: dict[str, tuple[Readings, Readings]]


def neutral_command(arguments: list[str]) -> int:
    options = tyro.cli(Options, prog="python -m realtime.measure.neutral", args=arguments)
    try:
        with ExitStack() as stack:
            recogniser = Recogniser(options.model, precision=options.precision)
            stack.callback(recogniser.close)
            detector = Detector(min_face=80)
            stack.callback(detector.close)
            print(recogniser.session.description)
            population = recogniser.population
            _tables(options, population, Camera(detector, recogniser, options.seed))
            if options.data:
                expression_table(population, recogniser, options.data)
    except (DetectorError, EngineError, ReferenceFileError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _tables(options: Options, population: Population, camera: Camera) -> None:
    persons = people(options.london)
    seen = []
    for number, person in enumerate(persons, 1):
        seen.append(_seen(person, camera, options.variants))
        if number % 10 == 0:
            _say(f"{number} of {len(persons)} people seen")
    halves = [
        [
            np.random.default_rng((options.seed, half, i)).permutation(len(one.rest.poses))
            for i, one in enumerate(seen)
        ]
        for half in range(options.halves)
    ]
    accuracy_table(population, seen, halves)
    change_table(population, seen, halves)
    clip_table(population, persons, camera, options.rest_frames)
    cost_table(population, seen[0].rest)


def _seen(person: Person, camera: Camera, variants: int) -> Seen:
    return Seen(
        person.gender,
        person.ethnicity,
        camera.varied(person.neutral, variants),
        camera.varied(person.smiling, variants),
        {
            name: (camera.changed(person.neutral, changes), camera.changed(person.smiling, changes))
            for name, changes in CHANGES.items()
        },
    )


def references(population: Population, seen: list[Seen], half: list[np.ndarray]) -> list[Reference]:
    """Each person's, from the first half of the order `half` of the resting pictures."""
    made = []
    for one, order in zip(seen, half, strict=True):
        shown = one.rest.of(order[: len(order) // 2])
        made.append(Reference.capture(population, shown.probabilities, shown.poses))
    return made


def read(reference: Reference, readings: Readings) -> np.ndarray:
    """float32 (n, 8)."""
    pairs = zip(readings.probabilities, readings.poses, strict=True)
    return np.array([reference.read(*pair) for pair in pairs])


def tops(
    reader: Reader, seen: list[Seen], half: list[np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """By person the probabilities of the resting pictures that no reference has seen, and of the
    smiling ones."""
    return [
        (reader(i, one.rest.of(order[len(order) // 2 :])), reader(i, one.smile))
        for i, (one, order) in enumerate(zip(seen, half, strict=True))
    ]


def scores(result: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """By person: share of resting pictures called something else, of smiles found; (people, 2)."""
    return np.array(
        [
            ((rest.argmax(1) != 0).mean(), (smile.argmax(1) == HAPPINESS).mean())
            for rest, smile in result
        ]
    )


def mean_limit(
    seen: list[Seen], half: list[np.ndarray], person_mean: bool, person_spread: bool
) -> Reader:
    """The plain way: happiness where its log odds are three spreads above a mean."""
    odds = [np.log(np.maximum(one.rest.probabilities[:, :2], 1e-30)) for one in seen]
    known = [(o[:, 1] - o[:, 0])[h[: len(h) // 2]] for o, h in zip(odds, half, strict=True)]
    means = np.array([one.mean() for one in known])
    spreads = np.array([one.std(ddof=1) for one in known])

    def reader(i: int, readings: Readings) -> np.ndarray:
        logits = np.log(np.maximum(readings.probabilities, 1e-30))
        limit = means[i] if person_mean else means.mean()
        limit += 3 * (spreads[i] if person_spread else spreads.mean())
        return np.column_stack([np.full(len(logits), limit), logits[:, 1] - logits[:, 0]])

    return reader


def chosen_elsewhere(
    population: Population, seen: list[Seen], half: list[np.ndarray]
) -> np.ndarray:
    """Scores with the formula's constants chosen on the other four fifths of the people."""
    own = references(population, seen, half)
    every = np.array([scores(tops(_fitted(own, form), seen, half)) for form in FORMS])
    folds = np.random.default_rng(0).permutation(len(seen)) % FOLDS
    result = np.empty((len(seen), 2))
    for fold in range(FOLDS):
        alarms, found = every[:, folds != fold].mean(axis=1).T
        best = np.argmax(np.where(alarms <= ALLOWED, found, -alarms))
        result[folds == fold] = every[best, folds == fold]
    return result


def _fitted(own: list[Reference], form: Form) -> Reader:
    return lambda i, shown: read(replace(own[i], form=form), shown)


def readers(population: Population, seen: list[Seen], half: list[np.ndarray]) -> dict[str, Reader]:
    """The ways to read a face that are compared."""
    own = references(population, seen, half)
    stranger = Reference.of_nobody(population)
    return {
        "the network alone": lambda i, shown: shown.probabilities,
        "nobody's reference": lambda i, shown: read(stranger, shown),
        "own mean and 3 own spreads": mean_limit(seen, half, True, True),
        "own mean and 3 common spreads": mean_limit(seen, half, True, False),
        "common mean and 3 own spreads": mean_limit(seen, half, False, True),
        "another person's reference": lambda i, shown: read(own[i - 1], shown),
        "own reference": lambda i, shown: read(own[i], shown),
    }


def accuracy_table(population: Population, seen: list[Seen], halves: list) -> None:
    table: dict[str, list[np.ndarray]] = {}
    sure: list[np.ndarray] = []
    for half in halves:
        for name, reader in readers(population, seen, half).items():
            result = tops(reader, seen, half)
            table.setdefault(name, []).append(scores(result))
            if name == "own reference":
                for rest, smile in result:
                    sure += [_right(rest, 0), _right(smile, HAPPINESS)]
        table.setdefault("own, constants chosen on others", []).append(
            chosen_elsewhere(population, seen, half)
        )
    groups = _groups(seen)
    print(
        "\n| | neutral called something else | smiles found | "
        + " | ".join(f"{name} ({rows.sum()})" for name, rows in groups.items())
        + " |"
    )
    print("|---|---|---|" + "---|" * len(groups))
    for name, results in table.items():
        alarms, found = np.mean(results, axis=0).T
        cells = [found[rows].mean() for rows in groups.values()]
        print(
            f"| {name} | {alarms.mean():.1%} | {found.mean():.1%} | "
            + " | ".join(f"{cell:.1%}" for cell in cells)
            + " |"
        )
    right = np.concatenate(sure)
    print("\n| probability of what is shown | pictures | right |\n|---|---|---|")
    for low, high in ((0, 0.6), (0.6, 0.8), (0.8, 0.95), (0.95, 1.01)):
        part = right[(right[:, 0] >= low) & (right[:, 0] < high)]
        if len(part):
            print(f"| {part[:, 0].mean():.2f} | {len(part)} | {part[:, 1].mean():.2f} |")


def _right(probabilities: np.ndarray, label: int) -> np.ndarray:
    """(n, 2): the largest probability, and whether it is that of `label`."""
    return np.column_stack([probabilities.max(axis=1), probabilities.argmax(axis=1) == label])


def _groups(seen: list[Seen]) -> dict[str, np.ndarray]:
    groups = {
        "women": np.array([one.gender == "female" for one in seen]),
        "men": np.array([one.gender == "male" for one in seen]),
    }
    for name in sorted({one.ethnicity for one in seen}):
        rows = np.array([one.ethnicity == name for one in seen])
        groups[name + ("" if rows.sum() >= FEW else ", too few")] = rows
    return groups


def change_table(population: Population, seen: list[Seen], halves: list) -> None:
    """What a reference of frontal pictures does after the light or the head has changed."""
    print(
        "\n| after the reference | neutral called something else | smiles found "
        "| by the network alone |"
    )
    print("|---|---|---|---|")
    for name in CHANGES:
        results, alone = [], []
        for half in halves:
            own = references(population, seen, half)
            pairs = [one.changed[name] for one in seen]
            results.append(
                scores(
                    [(read(ref, a), read(ref, b)) for ref, (a, b) in zip(own, pairs, strict=True)]
                )
            )
            alone.append(scores([(a.probabilities, b.probabilities) for a, b in pairs]))
        alarms, found = np.mean(results, axis=(0, 1))
        print(f"| {name} | {alarms:.1%} | {found:.1%} | {np.mean(alone, axis=(0, 1))[1]:.1%} |")


def cost_table(population: Population, readings: Readings) -> None:
    reference = Reference.capture(population, readings.probabilities, readings.poses)
    one, pose = readings.probabilities[0], readings.poses[0]
    print("\n| cost of one face | median |\n|---|---|")
    for name, call in {
        "reading": lambda: reference.read(one, pose),
        "intensity": lambda: reference.intensity(one),
    }.items():
        times = timeit.repeat(call, number=1000, repeat=9)
        print(f"| {name} | {np.median(times):.4f} ms |")


if __name__ == "__main__":
    sys.exit(printing(lambda: neutral_command(sys.argv[1:])))
