"""Small JSON files of numbers: what a person's rest and a model's population are kept in.

A file may come from anywhere, so everything in it is looked at before it is used, and whatever is
wrong is told in one sentence.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from engine.output import write
from realtime.faces import EXPRESSIONS

FORMAT = 1
"""Version of the files' format."""
LARGEST = 100_000
"""Bytes; a good file has a few thousand."""
LIMIT = 1e3
"""Largest number in them; log probabilities stay below 100."""


class ReferenceFileError(Exception):
    """A file of a reference or population cannot be used; the message says what to do."""


def listed(values) -> list[float]:
    return [round(float(value), 6) for value in values]


def write_numbers(path: Path, kind: str, model: str, content: dict) -> None:
    """Writes `content` with a head that says what it is; EngineError where it cannot be."""
    head = {"kind": kind, "format": FORMAT, "model": model, "expressions": list(EXPRESSIONS)}
    write(path, (json.dumps(head | content, indent=1) + "\n").encode())


def read_raw(path: Path) -> bytes:
    """The bytes of a file, no more than tell that it is too large; ReferenceFileError where it
    cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise ReferenceFileError(f"{path} cannot be read: {error.strerror}.") from error


def read_content(path: Path, kind: str, model: str) -> dict:
    """The content of a file that is of this kind, format and model; else ReferenceFileError."""
    raw = read_raw(path)
    try:
        content = json.loads(raw) if len(raw) <= LARGEST else None
    except (ValueError, RecursionError) as error:
        raise ReferenceFileError(f"{path} is no {kind}: it is not a whole JSON file.") from error
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise ReferenceFileError(f"{path} is no {kind} of a resting face.")
    if content.get("format") != FORMAT or content.get("expressions") != list(EXPRESSIONS):
        raise ReferenceFileError(f"{path} was written by another version: make it again.")
    if content.get("model") != model:
        # Of a file from anywhere only a hash is repeated: a terminal obeys some other characters.
        named = re.match("[0-9a-f]{12}", str(content.get("model")))
        made = named[0] if named else "no hash"
        raise ReferenceFileError(
            f"{path} belongs to another model ({made}, not {model[:12]}): "
            "make it again with this one."
        )
    return content


def numbers(path: Path, content: dict, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The float64 array `name` of `content`; ReferenceFileError where it has another shape."""
    try:
        array = np.array(content[name])
        if array.dtype.kind not in "if":  # NumPy would read "1" and true as numbers
            raise broken(path, name)
        array = array.astype(np.float64)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise broken(path, name) from error
    if array.shape != shape or not np.all(np.abs(array) <= LIMIT):
        raise broken(path, name)
    return array


def broken(path: Path, name: str) -> ReferenceFileError:
    return ReferenceFileError(f"{path} is broken at {name}: make it again.")
