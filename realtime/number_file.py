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


def as_text(kind: str, model: str, content: dict) -> str:
    """`content` with a head that says what it is, as a file has it."""
    head = {"kind": kind, "format": FORMAT, "model": model, "expressions": list(EXPRESSIONS)}
    return json.dumps(head | content, indent=1) + "\n"


def write_text(path: Path, text: str) -> None:
    """The file appears whole or not at all; EngineError where it cannot be written."""
    write(path, text.encode())


def read_text(path: Path) -> str:
    """What is in a file, as far as it can be a good one; ReferenceFileError where it cannot."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1).decode(errors="replace")
    except OSError as error:
        raise ReferenceFileError(f"{path} cannot be read: {error.strerror}.") from error


def content_of(text: str, path: Path, kind: str, model: str) -> dict:
    """The content of what :func:`read_text` found in `path`, where that is of this kind, format and
    model; else ReferenceFileError."""
    try:
        content = json.loads(text) if len(text) <= LARGEST else None
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
