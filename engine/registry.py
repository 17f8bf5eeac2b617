"""The shipped models: ``models/*.onnx`` and ``models/models.json``, which says what they are.

Read only. The exporters in ``train/`` write both (see :mod:`train.registry`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from engine.backends import EngineError

MODELS = Path(__file__).resolve().parent / "models"


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
    path = MODELS / "models.json"
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return {name: ModelEntry(**fields) for name, fields in sorted(known.items())}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise EngineError(f"{path} cannot be read ({error}): reinstall, or restore it.") from error


def find(model: str | Path) -> Path:
    """The file of a model given as a path or as the bare name of a shipped model.

    EngineError where there is no such file.
    """
    path = Path(model)
    if isinstance(model, str) and path.name == model and not path.suffix:
        path = MODELS / f"{model}.onnx"
        if not path.is_file():
            names = ", ".join(entries()) or "none"
            raise EngineError(f"There is no model {model}. Shipped models: {names}.")
    if path.is_dir():
        raise EngineError(f"{path} is a folder: give the .onnx file inside it.")
    if not path.exists():
        raise EngineError(f"There is no model file {path}: check the path.")
    return path


def read(path: Path) -> tuple[bytes, str]:
    """The bytes of the model file and their sha256 (hex), checked where the file is a shipped one.

    A file in the models folder is shipped: it must be listed in models.json and must match.
    EngineError otherwise. The bytes returned are the ones checked, so nothing can change the
    file in between.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineError(f"{path} cannot be read: {error.strerror}.") from error
    digest = hashlib.sha256(content).hexdigest()
    if path.resolve().parent == MODELS:
        _check(path, digest)
    return content, digest


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
