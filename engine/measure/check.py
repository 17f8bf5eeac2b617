"""How close every backend and precision comes to ONNX Runtime in fp32, on real faces."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from engine import output, registry
from engine.choice import REFERENCE, Choice, every_choice, left_out_lines
from engine.contract import EngineError
from engine.measure import check_detectors
from engine.measure.check_detectors import DetectorComparison
from engine.measure.face_data import FACE_SIZE, FaceData
from engine.model_file import ModelFile
from engine.session import Session, open_session

LEAST_FACES = 1000
"""With fewer, one face more or less is too much of a per cent."""

BATCH = 32


@dataclass(frozen=True, slots=True)
class Promise:
    """What a precision must keep: limits on the difference of probabilities and of angles in
    degrees, on the part of faces with the same label, and on how much of the accuracy may be lost.
    None promises nothing."""

    probability: float | None = None
    pose: float | None = None
    same_label: float | None = None
    lost_accuracy: float | None = None


PROMISES = {
    "fp32": Promise(probability=1e-4, pose=1e-2),
    "fp16": Promise(same_label=0.998),
    "bf16": Promise(same_label=0.998),
    "int8": Promise(same_label=0.99, lost_accuracy=0.003),
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One way to run a model against the reference, over all faces.

    Differences are absolute: of probabilities, and of angles in degrees. same_label: part of the
    faces with the same most probable expression. accuracy: part of the faces with the right one,
    over those with a label; None without labels. broken: what of its promise it does not keep.
    """

    way: str
    description: str
    precision: str
    probability_max: float
    probability_mean: float
    pose_max: float
    pose_mean: float
    same_label: float
    accuracy: float | None
    broken: list[str] = field(default_factory=list)


HEADING = (
    f"{'':<26} {'probability':>17} {'pose, degrees':>15}   same",
    f"{'':<26} {'largest':>8} {'mean':>8} {'largest':>8} {'mean':>6}  label  accuracy",
)


@dataclass(frozen=True, slots=True)
class Report:
    """All comparisons, the reference first, and a line for each reason why others are left out."""

    model: str
    sha256: str
    faces: int
    comparisons: list[Comparison] | list[DetectorComparison]
    left_out: list[str]

    @property
    def kept(self) -> bool:
        return not any(comparison.broken for comparison in self.comparisons)


def check(
    model_name: str | Path,
    data: FaceData,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> Report:
    """Runs the faces through every way that the options leave open and that works here.

    EngineError for fewer than :data:`LEAST_FACES` faces, for a model that is neither an fp32 face
    model nor one of MTCNN, and where no way at all can be opened.
    """
    if len(data.faces) < LEAST_FACES:
        raise EngineError(
            f"{len(data.faces)} faces are too few to check a promise of 99 %: give {LEAST_FACES} "
            "or more."
        )
    model = registry.read(registry.find(model_name))
    detects = check_detectors.is_detector(model)
    if detects:
        images = check_detectors.pictures(model, data.faces)
        names = tuple(info.name for info in model.outputs)
    else:
        _check_model(model)
        images, names = data.faces, ("expression", "pose")
    expected = _outputs(REFERENCE, model, images, names, threads)[1]
    comparisons: list = []
    left_out: dict[Choice, EngineError] = {}
    for way in every_choice(model, backend, device, precision):
        try:
            session, outputs = _outputs(way, model, images, names, threads)
        except EngineError as error:
            left_out[way] = error
            continue
        if detects:
            facts = (str(way), session.description, session.precision)
            comparisons.append(check_detectors.compare(*facts, outputs, expected))
        else:
            comparisons.append(_compare(way, session, outputs, expected, data.labels))
    if not comparisons:
        raise EngineError(" ".join(dict.fromkeys(map(str, left_out.values()))))
    lines = left_out_lines(left_out)
    return Report(model.path.name, model.sha256, len(data.faces), comparisons, lines)


def check_every(data: FaceData, *options) -> tuple[list[Report], list[str]]:
    """A :func:`check` of every shipped network with these options, in order of their names, and a
    line for each that the options leave no way to run. EngineError where that is so for all."""
    reports, left_out = [], []
    for model in registry.networks():
        try:
            reports.append(check(model.path, data, *options))
        except EngineError as error:
            left_out.append(f"left out: {model.path.stem}: {error}")
    if not reports:
        raise EngineError(left_out[0].removeprefix("left out: "))
    return reports, left_out


def table(report: Report) -> str:
    """The comparisons as text, a line for each, and what was left out."""
    lines = [f"{report.model} ({report.sha256[:12]}) on {report.faces} faces, against {REFERENCE}"]
    detects = isinstance(report.comparisons[0], DetectorComparison)
    lines += check_detectors.HEADING if detects else HEADING
    for one in report.comparisons:
        lines.append(check_detectors.row(one) if isinstance(one, DetectorComparison) else _row(one))
        lines += [f"    broken: {problem}" for problem in one.broken]
    return "\n".join(lines + report.left_out)


def _row(one: Comparison) -> str:
    accuracy = "" if one.accuracy is None else f"{one.accuracy:8.2%}"
    return (
        f"{one.way:<26} {one.probability_max:>8.1g} {one.probability_mean:>8.1g} "
        f"{one.pose_max:>8.2g} {one.pose_mean:>6.1g} {one.same_label:7.2%} {accuracy}"
    )


def write_json(path: Path, report: Report, *others: Report) -> None:
    """All of the file or nothing; EngineError where it cannot be written. others: come as a list
    under the key "others" of the first."""
    content = _as_dict(report)
    if others:
        content["others"] = [_as_dict(other) for other in others]
    text = json.dumps(content, indent=2, ensure_ascii=False)
    output.write(path, (text + "\n").encode("utf-8"))


def _as_dict(report: Report) -> dict:
    return {**asdict(report), "kept": report.kept}


def _check_model(model: ModelFile) -> None:
    takes = [(info.name, info.dtype, info.shape[1:]) for info in model.inputs]
    gives = {info.name for info in model.outputs}
    faces = [("faces", np.uint8, (FACE_SIZE, FACE_SIZE, 3))]
    if takes != faces or not {"expression", "pose"} <= gives or model.precision != "fp32":
        raise EngineError(
            f"{model.path.name} is no fp32 face model: check needs the input faces "
            "(uint8 N×112×112×3) and the outputs expression and pose, or a network of MTCNN."
        )


def _outputs(
    way: Choice,
    model: ModelFile,
    images: np.ndarray,
    names: tuple[str, ...],
    threads: int | None,
) -> tuple[Session, dict[str, np.ndarray]]:
    """The session, closed again, and what it gave for all images."""
    (info,) = model.inputs
    starts = range(0, len(images), BATCH)
    with open_session(model.path, way.backend, way.device, way.precision, threads) as session:
        progress = tqdm(starts, desc=str(way), unit=" batches", leave=False, disable=None)
        batches = (images[start : start + BATCH].astype(info.dtype) for start in progress)
        parts = [session.run({info.name: batch}) for batch in batches]
    return session, {name: np.concatenate([part[name] for part in parts]) for name in names}


def _compare(
    way: Choice,
    session: Session,
    outputs: dict[str, np.ndarray],
    expected: dict[str, np.ndarray],
    labels: list[str] | None,
) -> Comparison:
    probability = np.abs(outputs["expression"].astype(float) - expected["expression"])
    pose = np.abs(outputs["pose"].astype(float) - expected["pose"])
    found = outputs["expression"].argmax(axis=1)
    same = float(np.mean(found == expected["expression"].argmax(axis=1)))
    accuracy = _accuracy(found, labels, session)
    expected_accuracy = _accuracy(expected["expression"].argmax(axis=1), labels, session)
    lost = None
    if accuracy is not None and expected_accuracy is not None:
        lost = expected_accuracy - accuracy
    comparison = Comparison(
        way=str(way),
        description=session.description,
        precision=session.precision,
        probability_max=float(probability.max()),
        probability_mean=float(probability.mean()),
        pose_max=float(pose.max()),
        pose_mean=float(pose.mean()),
        same_label=same,
        accuracy=accuracy,
    )
    return replace(comparison, broken=_broken(PROMISES[session.precision], comparison, lost))


def _accuracy(found: np.ndarray, labels: list[str] | None, session: Session) -> float | None:
    """Part of the faces whose label was found, over those that have one that the model knows."""
    names = json.loads(session.metadata.get("labels", "[]"))
    if labels is None:
        return None
    pairs = zip(found, labels, strict=True)
    right = [names[index] == label for index, label in pairs if label in names]
    return float(np.mean(right)) if right else None


def _broken(promise: Promise, found: Comparison, lost: float | None) -> list[str]:
    broken = []
    # Written so that a difference that is no number counts as broken.
    if promise.probability is not None and not found.probability_max <= promise.probability:
        broken.append(
            f"a probability is off by {found.probability_max:.2g}, not {promise.probability:g}"
        )
    if promise.pose is not None and not found.pose_max <= promise.pose:
        broken.append(f"an angle is off by {found.pose_max:.2g}°, not {promise.pose:g}°")
    if promise.same_label is not None and not found.same_label >= promise.same_label:
        broken.append(f"{found.same_label:.2%} have the same label, not {promise.same_label:.1%}")
    if promise.lost_accuracy is not None and lost is not None and lost > promise.lost_accuracy:
        broken.append(f"{lost:.2%} of accuracy are lost, not {promise.lost_accuracy:.1%}")
    return broken
