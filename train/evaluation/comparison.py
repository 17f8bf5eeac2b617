"""Compares methods over several runs: means, deviations, gains; the forms of Tables 8 and 9."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from train.errors import UserError
from train.evaluation.cost import Cost
from train.evaluation.evaluate import result_name
from train.files import read_json, whole, write_json, write_text
from train.pose import YAW_BIN_EDGES
from train.recipes import RECIPES
from train.recipes.methods import METHODS, in_force, switched_off, title_of
from train.runs.decision import Prior
from train.runs.folder import RunFolder

PLACE = {"seed", "data", "device", "devices", "nodes", "identity", "faces"}
"""What runs of one method may differ in: the seed, and where they were made."""

TURNED = tuple(f">{edge:.0f}" for edge in YAW_BIN_EDGES)
SCORES = ("accuracy", "mean_class_accuracy", *TURNED)
"""What is compared; >10 is the accuracy on faces with a |yaw| larger than 10°, and so on."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (of a sample; None for a single value) of one number."""

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float] | pd.Series) -> Spread:
        column = pd.Series(values)
        return cls(float(column.mean()), float(column.std()) if len(column) > 1 else None)

    def percent(self, sign: str = "") -> str:
        """In percent or points; sign "+" to write one in any case."""
        spread = "" if self.deviation is None else f" ± {100 * self.deviation:.2f}"
        return f"{100 * self.mean:{sign}.2f}{spread}"


@dataclass(frozen=True)
class Result:
    """One run on one split. confusion: counts, int (classes, classes), rows are the truth.
    scores: by the names of SCORES, fractions, None where there are no such faces. faces: their
    numbers, with "all" for the split's. minutes: spent in training. checkpoint: SHA-256 of the file
    measured; None where `evaluate` did not write it yet."""

    run: Path
    recipe: str
    options: dict
    fit: dict
    classes: tuple[str, ...]
    confusion: np.ndarray
    scores: dict[str, float | None]
    faces: dict[str, int]
    minutes: float
    checkpoint: str | None = None


def read_result(run: Path, split: str, prior: Prior = "data") -> Result:
    """What `evaluate` found; UserError where it has not been run."""
    path = run / f"evaluation-{result_name(split, prior)}.json"
    if not path.is_file():
        wanted = f"--split {split}" + (f" --prior {prior}" if prior != "data" else "")
        raise UserError(f"{path} is missing: `python -m train evaluate --run {run} {wanted}`.")
    found = read_json(path, f"delete it and run `python -m train evaluate --run {run}` again")
    by_yaw = {name: found["accuracy_by_yaw"][name] for name in TURNED}
    overall = {name: found["expression"][name] for name in SCORES[:2]}
    return Result(
        run,
        found["run"]["recipe"],
        found["run"]["options"],
        found["run"]["fit"],
        tuple(found["classes"]),
        np.array(found["expression"]["confusion"]),
        overall | {name: cell["accuracy"] for name, cell in by_yaw.items()},
        {"all": found["faces"]} | {name: cell["faces"] for name, cell in by_yaw.items()},
        sum(row["seconds"] or 0 for row in RunFolder(run).log()) / 60,
        found.get("checkpoint_sha256"),
    )


@dataclass(frozen=True)
class MethodResult:
    """All runs of one method, which differ in nothing but the seed."""

    title: str
    results: tuple[Result, ...]

    @cached_property
    def runs(self) -> pd.DataFrame:
        """A row a run, by its seed: SCORES, NaN where there are no such faces, and minutes."""
        seeds = pd.Index([result.fit["seed"] for result in self.results], name="seed")
        rows = [result.scores | {"minutes": result.minutes} for result in self.results]
        return pd.DataFrame(rows, index=seeds, dtype=float)

    def spread(self, column: str) -> Spread | None:
        """Of a column of `runs`; None where the split has no such faces."""
        values = self.runs[column]
        return None if values.isna().any() else Spread.of(values)

    def gain(self, other: MethodResult, score: str = "accuracy") -> Spread | None:
        """By how much this method is better, as the spread over the seeds that both have of their
        difference with the same seed; None where they share no seed."""
        differences = (self.runs[score] - other.runs[score]).dropna()
        return Spread.of(differences) if len(differences) else None


def by_method(results: Sequence[Result]) -> list[MethodResult]:
    """The results by method: the baseline first, then in the order of METHODS, then others.

    UserError where two runs of a method differ in more than the seed, or not even in that.
    """
    if not results:
        raise UserError("There is no run to compare: give at least one.")
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(title_of(result.recipe, result.options), []).append(result)
    for title, group in groups.items():
        _check_alike(title, group)
    order = [method.title for _, method in METHODS.values()]
    titles = sorted(groups, key=lambda title: order.index(title) if title in order else len(order))
    return [MethodResult(title, tuple(groups[title])) for title in titles]


def _check_alike(title: str, group: Sequence[Result]) -> None:
    seeds: dict[int, Result] = {}
    first = in_force(group[0].recipe, group[0].options) | group[0].fit
    for result in group:
        other = in_force(result.recipe, result.options) | result.fit
        changed = sorted(key for key in first if first[key] != other.get(key) and key not in PLACE)
        if changed:
            raise UserError(
                f"{group[0].run} and {result.run} are both {title}, but differ in "
                f"{', '.join(changed)}: compare them with one of the two at a time."
            )
        twin = seeds.setdefault(other["seed"], result)
        if twin is not result:
            raise UserError(f"{twin.run} and {result.run} are both {title} with one seed.")


@dataclass(frozen=True)
class Table:
    """Cells as text, row by row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        # Not by pandas, which would need tabulate for it, and that lines the columns up by spaces.
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        escaped = ([cell.replace("|", r"\|") for cell in line] for line in lines)
        return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


def _percent(spread: Spread | None, sign: str = "") -> str:
    return "–" if spread is None else spread.percent(sign)


def pose_table(methods: Sequence[MethodResult]) -> Table:
    """Table 8's form: accuracy in percent on faces turned by more and more, a column a method."""
    faces = methods[0].results[0].faces
    names = {"All": ("all", "accuracy")} | {f"Pose({name}°)": (name, name) for name in TURNED}
    rows = [
        [label, str(faces[count]), *(_percent(method.spread(score)) for method in methods)]
        for label, (count, score) in names.items()
    ]
    return Table(["Test set", "Number", *(method.title for method in methods)], rows)


def pose_curves(
    methods: Sequence[MethodResult],
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], list[str]]:
    """Table 8 for a plot: by title mean and standard deviation (0 for a single run) of the accuracy
    on all faces and on those turned by more and more, NaN where there are none, and what these
    sets are called."""
    scores = ["accuracy", *TURNED]
    curves = {each.title: _arrays([each.spread(score) for score in scores]) for each in methods}
    return curves, ["all", *(f"{name}°" for name in TURNED)]


def _arrays(spreads: Sequence[Spread | None]) -> tuple[np.ndarray, np.ndarray]:
    means = [np.nan if each is None else each.mean for each in spreads]
    deviations = [(each.deviation if each else None) or 0.0 for each in spreads]
    return np.array(means), np.array(deviations)


def ablation_table(methods: Sequence[MethodResult]) -> Table:
    """Table 9's form: which losses and modules IPD-FER uses, and its accuracy in percent."""
    rows, (_, *switches) = [], RECIPES["ipd_fer"].switches  # the first is pose, of Table 8
    for method in methods:
        first = method.results[0]
        off = switched_off(first.recipe, first.options)
        if first.recipe == "ipd_fer" and "pose" not in off:
            marks = ["✗" if switch in off else "✓" for switch in switches]
            rows.append([*marks, _percent(method.spread("accuracy"))])
    # The paper's order: what lacks the first comes first, what lacks nothing last ("✗" > "✓").
    rows.sort(key=lambda row: row[:4], reverse=True)
    return Table(["L_confusion", "L_cos", "L_id", "D", "Accuracy (%)"], rows)


def summary_table(methods: Sequence[MethodResult], costs: dict[str, Cost]) -> Table:
    """Everything about each method, a row a method; costs by title."""
    columns = ["method", "seeds", "accuracy (%)", "mean-class accuracy (%)"]
    columns += [f"|yaw| {name}° (%)" for name in TURNED]
    columns += ["gain over the baseline (points)", "parameters (M)", "multiply-adds (M)"]
    columns += ["training (min)", "ms a face (PyTorch, CPU)"]
    rows = []
    for method in methods:
        cost = costs[method.title]
        rows.append(
            [method.title, str(len(method.results))]
            + [_percent(method.spread(score)) for score in SCORES]
            + [_percent(_gain(method, methods), "+")]
            + [f"{cost.parameters / 1e6:.2f}", f"{cost.multiply_adds / 1e6:.0f}"]
            + [f"{method.runs['minutes'].mean():.1f}", f"{cost.milliseconds:.1f}"]
        )
    return Table(columns, rows)


def _gain(method: MethodResult, methods: Sequence[MethodResult]) -> Spread | None:
    baseline = next((each for each in methods if each.title == "baseline"), None)
    if baseline is None or method is baseline:
        return None
    return method.gain(baseline)


def write_comparison(
    methods: Sequence[MethodResult], costs: dict[str, Cost], split: str, folder: Path
) -> str:
    """Write ``table-<split>.md``, ``.csv`` and ``.json`` into `folder`; returns the Markdown.

    CSV and JSON hold fractions, not percent, and the JSON every run by itself too.
    """
    records = [_record(method, methods, costs[method.title]) for method in methods]
    with whole(folder / f"table-{split}.csv") as part:
        pd.DataFrame(records).to_csv(part, index=False, lineterminator="\r\n")
    runs = [
        {"method": method.title, "run": str(result.run), "seed": result.fit["seed"],
         "minutes": result.minutes, "scores": result.scores}
        for method in methods for result in method.results
    ]  # fmt: skip
    found = {"split": split, "methods": records, "runs": runs}
    write_json(folder / f"table-{split}.json", found)
    tables = {
        f"Split {split}; mean ± standard deviation over seeds": summary_table(methods, costs),
        "Accuracy (%) by head pose": pose_table(methods),
        "Ablations": ablation_table(methods),
    }
    text = "\n".join(
        f"## {title}\n\n{table.markdown()}" for title, table in tables.items() if table.rows
    )
    write_text(folder / f"table-{split}.md", text)
    return text


def _record(method: MethodResult, methods: Sequence[MethodResult], cost: Cost) -> dict:
    record: dict = {"method": method.title, "seeds": len(method.results)}
    for name in SCORES:
        record |= _columns(name, method.spread(name))
    record |= _columns("gain", _gain(method, methods))
    record |= {"parameters": cost.parameters, "multiply_adds": cost.multiply_adds}
    record |= _columns("minutes", method.spread("minutes"))
    return record | {"milliseconds_a_face": cost.milliseconds}


def _columns(name: str, spread: Spread | None) -> dict:
    mean, deviation = (None, None) if spread is None else (spread.mean, spread.deviation)
    return {name: mean, f"{name}_deviation": deviation}
