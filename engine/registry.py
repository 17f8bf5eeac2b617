"""The shipped models: ``models/*.onnx`` and ``models/models.json``, which says what they are.

models.json has one writer, :func:`register`: `python -m engine quantize` calls it, and so does
`python -m engine register`, which the exporters in ``train/`` run as a process of its own.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from engine import output
from engine.contract import EngineError, Int8Flavour
from engine.model_file import ModelFile, parse

MODELS = Path(__file__).resolve().parent / "models"

QUANTIZED_FROM = "quantized_from"
"""Metadata key of an INT8 file: sha256 of the model that it was made from."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """What models.json knows about one shipped model.

    file: name in the models folder. sha256: hex digest of its bytes. size: bytes.
    labels: class names in output order, empty where there are none. made_by: the command.
    """

    file: str
    sha256: str
    size: int
    made_by: str = ""
    source: str = ""
    licence: str = ""
    notes: str = ""
    labels: list[str] = field(default_factory=list)


def entries() -> dict[str, ModelEntry]:
    """Name → entry for every model in models.json, sorted by name.

    Empty where there is no models.json; EngineError where it cannot be read.
    """
    return _listed(MODELS / "models.json")


def listed(path: Path) -> ModelEntry | None:
    """The entry of the model file `path` in the models.json beside it; None without one."""
    return _listed(path.parent / "models.json").get(path.stem)


def register(
    path: Path,
    *,
    made_by: str,
    source: str,
    licence: str,
    notes: str = "",
    labels: list[str] | None = None,
) -> ModelEntry:
    """Writes or replaces the entry of the model file `path` in the models.json beside it.

    made_by: the command that makes the file. source: whose weights or data these are. labels:
    class names in output order; None takes those in the file's metadata. The name of the entry is
    the file's without ``.onnx``. EngineError where a file cannot be read or written.
    """
    content, digest = _read_with_digest(path)
    if labels is None:
        labels = json.loads(parse(path, content, digest).metadata.get("labels", "[]"))
    entry = ModelEntry(path.name, digest, len(content), made_by, source, licence, notes, labels)
    listing = path.parent / "models.json"
    known = {**_listed(listing), path.stem: entry}
    rows = {name: asdict(known[name]) for name in sorted(known)}
    output.write(listing, (json.dumps(rows, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))
    return entry


def find(model: str | Path) -> Path:
    """The file of a model given as a path or as the bare name of a shipped model.

    EngineError where there is no such file.
    """
    path = Path(model)
    try:
        there = path.exists()
    except OSError as error:  # the name is too long, or a folder above may not be looked into
        raise EngineError(f"{model} cannot be opened: {error.strerror}: check the path.") from None
    named = isinstance(model, str) and path.name == model and path.suffix != ".onnx"
    if named and not there:
        path = MODELS / f"{model}.onnx"
        if not path.is_file():
            names = ", ".join(entries()) or "none"
            raise EngineError(f"There is no model {model}. Shipped models: {names}.")
    if path.is_dir():
        raise EngineError(f"{path} is a folder: give the .onnx file inside it.")
    if not path.exists():
        raise EngineError(f"There is no model file {path}: check the path.")
    return path


def read(path: Path) -> ModelFile:
    """The model file, its sha256 checked where it is a shipped one.

    A file in the models folder is shipped: it must be listed in models.json and must match.
    EngineError otherwise. The bytes in the result are the ones checked, so nothing can change the
    file in between.
    """
    content, digest = _read_with_digest(path)
    if path.resolve().parent == MODELS:
        _check(path, digest)
    return parse(path, content, digest)


def networks() -> list[ModelFile]:
    """The shipped models that are no flavour of another: the face model and the three of MTCNN.

    EngineError where one cannot be read, and where there are none.
    """
    models = [read(MODELS / entry.file) for entry in entries().values()]
    if not models:
        raise no_models()
    return [model for model in models if QUANTIZED_FROM not in model.metadata]


def no_models() -> EngineError:
    return EngineError(f"There are no models in {MODELS}: reinstall the package.")


def int8_path(model: ModelFile, flavour: Int8Flavour) -> Path:
    """Where this INT8 flavour of `model` belongs: beside it, under the same name and its suffix."""
    return model.path.with_name(model.path.stem + flavour.suffix)


def int8_flavour(model: ModelFile, flavour: Int8Flavour) -> ModelFile:
    """This INT8 flavour of `model`, from :func:`int8_path`.

    EngineError where there is none, where it was made from another version of the model, or where
    it is no INT8 model.
    """
    path = int8_path(model, flavour)
    if not path.is_file():
        raise no_int8(model, flavour, "is not there")
    quantized = read(path)
    if quantized.precision != "int8":
        raise no_int8(model, flavour, "holds no INT8 layers")
    if quantized.metadata.get(QUANTIZED_FROM) != model.sha256:
        raise no_int8(model, flavour, f"was made from another version of {model.path.name}")
    return quantized


def no_int8(model: ModelFile, flavour: Int8Flavour, problem: str) -> EngineError:
    return EngineError(
        f"{int8_path(model, flavour).name}, the INT8 flavour of {model.path.name}, {problem}: make "
        f"it with `python -m engine quantize --model {_short(model.path)} --flavour {flavour.name} "
        "--faces FOLDER`."
    )


def _listed(path: Path) -> dict[str, ModelEntry]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return {name: ModelEntry(**fields) for name, fields in sorted(known.items())}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise EngineError(f"{path} cannot be read ({error}): reinstall, or restore it.") from error


def _read_with_digest(path: Path) -> tuple[bytes, str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineError(f"{path} cannot be read: {error.strerror}.") from error
    return content, hashlib.sha256(content).hexdigest()


def _check(path: Path, digest: str) -> None:
    expected = {entry.file: entry.sha256 for entry in entries().values()}
    if path.name not in expected:
        raise EngineError(
            f"{path.name} is not listed in {path.parent / 'models.json'}: reinstall, or export "
            "it again with `python -m train export`."
        )
    if digest != expected[path.name]:
        raise EngineError(
            f"{path.name} does not match its sha256 in models.json: reinstall, or restore the file."
        )


def _short(path: Path) -> str:
    """The name of a shipped model, else the path."""
    return path.stem if path.resolve().parent == MODELS else str(path)
