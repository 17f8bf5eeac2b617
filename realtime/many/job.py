"""What there is to do and what came of it, as it goes from process to process: JSON."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from engine import registry
from engine.contract import EngineError
from realtime.number_file import ReferenceFileError, read_content, read_raw
from realtime.population import Population, population_file
from realtime.reference import Reference

FORMAT = 2
"""Of the files: a later one may have other columns."""


@dataclass(frozen=True)
class Reading:
    """How videos are read. The fields are as on the command line of one video."""

    model: str = "ipd_fer"
    """A model file, or the name of a shipped one."""
    min_face: int = 40
    """Smallest face to look for, in pixels; larger is faster."""
    max_faces: int | None = None
    """Keep only this many faces, the largest."""
    smoothing: float = 1.0
    """0 takes every frame by itself, larger is steadier."""
    neutral: str | Path | Reference | None = None
    """Reference of a resting face, or its file (.json): read against it is the largest face of the
    first frame that shows one, until it is lost."""
    adapt: bool = False
    """Learn every face's rest slowly by itself; a faint expression held for minutes is lost."""
    part: float | None = None
    """Cut videos that are longer than this many seconds into parts, which are read side by side."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """What to compute on."""
    backend: Literal["auto", "onnxruntime", "openvino", "tensorrt"] = "auto"
    """What to compute with."""
    precision: Literal["auto", "fp32", "fp16", "bf16", "int8"] = "auto"
    """How the expression network computes; auto takes the fastest that agrees with fp32."""
    detector_precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """How the networks that find faces compute."""


@dataclass(frozen=True, slots=True)
class Rest:
    """A reference of the model that is read, on its way to other processes. name: what the tables
    call it. content: see :meth:`realtime.reference.Reference.content`."""

    name: str
    content: dict[str, Any]

    def reference(self, population: Population) -> Reference:
        return Reference.of(self.content, Path(self.name), population)


@dataclass(frozen=True)
class CheckedReading(Reading):
    """A reading that other processes can do: `rest` is what `neutral`, now None, stood for."""

    rest: Rest | None = None

    @classmethod
    def of(cls, message: dict[str, Any]) -> CheckedReading:
        """Of what asdict made of one, as JSON has it."""
        rest = message["rest"]
        return cls(**{**message, "rest": rest and Rest(**rest)})


@dataclass(frozen=True, slots=True)
class Part:
    """Of a video that is read in parts. Frames from `first` to `end` (exclusive) belong to it;
    those from `settle` on are read before, so that tracker and smoother know what came before.
    stamp: the time stamp, as stored, of the frame `settle`; start: that of the video's first."""

    index: int
    settle: int
    first: int
    end: int
    stamp: int
    start: int


@dataclass(frozen=True, slots=True)
class Job:
    """A video to read, of which `part` says which part; or, with `merge`, so many parts that were
    read to put together. path: absolute. whole: not to be cut into parts."""

    name: str
    path: str
    part: Part | None = None
    merge: int = 0
    whole: bool = False

    @classmethod
    def of(cls, message: dict[str, Any]) -> Job:
        part = message.get("part")
        return cls(**{**message, "part": part and Part(**part)})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job. frames: how many were read for it. problem: what is wrong with the video,
    None for nothing. written: whether there is a file all the same. parts: in place of all that,
    the parts that it is to be read in."""

    job: Job
    frames: int = 0
    problem: str | None = None
    written: bool = True
    parts: tuple[Part, ...] = ()

    @classmethod
    def of(cls, message: dict[str, Any]) -> Outcome:
        parts = tuple(Part(**part) for part in message["parts"])
        return cls(**{**message, "job": Job.of(message["job"]), "parts": parts})


def made_by(reading: CheckedReading) -> dict[str, Any]:
    """What the files of a reading are made by: with the same, a video need not be read again.

    EngineError where a model cannot be read, ReferenceFileError where its population cannot.
    """
    path = registry.find(reading.model)
    options = asdict(reading)
    del options["model"], options["rest"]
    if reading.rest:
        # By its content: another face may come under the same name.
        content = json.dumps(reading.rest.content, sort_keys=True)
        options["neutral"] = hashlib.sha256(content.encode()).hexdigest()
    if reading.rest or reading.adapt:
        population = read_raw(population_file(path))
        options["population"] = hashlib.sha256(population).hexdigest()
    networks = registry.networks()
    detectors = {m.path.stem: m.sha256 for m in networks if m.path.stem.startswith("mtcnn")}
    return {
        "format": FORMAT,
        "version": _version(),
        "model": {"name": path.stem, "sha256": registry.read(path).sha256},
        "detectors": detectors,
        "options": options,
    }


def source_of(path: str) -> dict[str, int]:
    """What tells whether a video is the same that was read: OSError where it is not there."""
    status = os.stat(path)
    return {"size": status.st_size, "modified_ns": status.st_mtime_ns}


def table_path(output: str | Path, name: str) -> Path:
    return Path(output) / f"{name}.parquet"


def _version() -> str:
    try:
        return metadata.version("ipd-fer")
    except metadata.PackageNotFoundError:
        return "not installed"


def checked(reading: Reading) -> CheckedReading:
    """The reading as other processes can do it. EngineError or ReferenceFileError where nobody
    can."""
    if not 0 <= reading.smoothing < float("inf"):
        raise EngineError(f"--smoothing {reading.smoothing}: give 0 or more.")
    if reading.part is not None and not reading.part > 0:
        raise EngineError(f"--part {reading.part}: give seconds, more than 0.")
    if reading.part is not None and (reading.neutral or reading.adapt):
        raise EngineError(
            "--part begins in the middle of a video, where nobody knows whose rest it was: leave "
            "out --part, or --neutral and --adapt."
        )
    path = registry.find(reading.model)
    found = {each.name: getattr(reading, each.name) for each in fields(Reading)}
    if path.parent != registry.MODELS:
        found["model"] = str(path.resolve())
    if reading.neutral is None:
        return CheckedReading(**found)
    rest = _rest(reading.neutral, Population.of_file(path))
    return CheckedReading(**found | {"neutral": None}, rest=rest)


def _rest(neutral: str | Path | Reference, population: Population) -> Rest:
    if isinstance(neutral, Reference):
        if neutral.population.model != population.model:
            raise ReferenceFileError(
                "The reference given belongs to another model: capture it anew."
            )
        return Rest("given", neutral.content())
    path = Path(neutral)
    content = read_content(path, "reference", population.model)
    Reference.of(content, path, population)  # which tells what is wrong with it
    return Rest(path.name, content)
