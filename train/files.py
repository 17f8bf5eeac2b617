"""Files that others read: written whole or not at all, and read with a word of what is wrong."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from train.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write what is to become `path`, in its folder, which is made where there is none.

    The file appears under its name, in the place of an older one, when the block ends; where that
    raises, or the process is killed, the older one stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Of this process alone: another one may be writing the same file.
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        # On the disk before it has the name: else a power cut may leave an empty file there.
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """UTF-8; atomic, as :func:`whole` is."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, content: object) -> None:
    """Indented; atomic, as :func:`whole` is."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_csv(path: Path, rows: Sequence[dict]) -> None:
    """One line a dict, after one with the keys of the first; atomic, as :func:`whole` is."""
    with whole(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def save_figure(figure: Figure, path: Path) -> None:
    """As PNG, or as what the name ends with; atomic, as :func:`whole` is."""
    with whole(path) as part:
        # The format by its name: that of a file half written says nothing.
        figure.savefig(part, dpi=120, format=path.suffix.removeprefix(".") or "png")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_text(path: Path) -> str:
    """UserError where the file is no text in UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(
            f"{path} is not text in UTF-8: save it as that, or make it again."
        ) from None


class _Entries(dict):
    """A JSON object that tells which entry it lacks."""

    path: Path

    def __missing__(self, key):
        raise UserError(f"The entry {key!r} is missing where {self.path} should have it: make the "
                        "file again.")  # fmt: skip


def read_json(path: Path, fix: str) -> dict:
    """A file with one JSON object; UserError where it is none, or when an entry is asked for that
    it, or an object in it, does not have. fix: what to do then, a part of a sentence."""
    of_file = type("_Entries", (_Entries,), {"path": path})
    try:
        found = json.loads(read_text(path), object_hook=of_file)
    except ValueError as error:
        raise UserError(f"{path} is broken, {error}: {fix}.") from None
    except RecursionError:
        raise UserError(f"{path} is broken, nested too deeply: {fix}.") from None
    if not isinstance(found, dict):
        raise UserError(f"{path} is broken, it holds no JSON object: {fix}.")
    return found


def read_csv(path: Path, columns: Sequence[str], fix: str) -> list[dict[str, str]]:
    """The rows of a file whose first line names its columns; UserError where it is no such file,
    lacks one of `columns`, or a row has too few or too many. fix: as in :func:`read_json`."""
    with readable_csv(path, fix), open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        names = reader.fieldnames or ()
        missing = [name for name in columns if name not in names]
        if missing:
            raise UserError(f"{path} lacks the columns {', '.join(missing)}: {fix}.")
        rows = []
        for row in reader:
            if None in row or None in row.values():
                raise UserError(
                    f"{path}, line {reader.line_num}: expected {len(names)} columns: {fix}."
                )
            rows.append(row)
    return rows


@contextmanager
def readable_csv(path: Path, fix: str) -> Iterator[None]:
    """UserError for what the csv module, or decoding the text for it, may raise inside."""
    try:
        yield
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no CSV in UTF-8, {error}: {fix}.") from None


def read_array(path: Path, fix: str, **options) -> np.ndarray:
    """A .npy file (options: those of np.load); UserError where it is none, or cut off."""
    try:
        found = np.load(path, **options)
    except (ValueError, EOFError) as error:  # np.load has no error of its own
        raise UserError(f"{path} is broken, {_first_line(error)}: {fix}.") from None
    if not isinstance(found, np.ndarray):
        with suppress(OSError):
            found.close()
        raise UserError(f"{path} is broken, it holds no single array: {fix}.")
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0].rstrip(".")
