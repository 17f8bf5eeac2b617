"""``python -m train``: prepare, fit, evaluate, calibrate, judge, visualize, reproduce, export."""

from __future__ import annotations

import ast
import functools
import operator
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import OmitArgPrefixes, Suppress, subcommand

from train.errors import UserError
from train.options import check_options


@dataclass(frozen=True)
class Group:
    """Commands below a word; where they are listed in their folder, as module:name."""

    description: str
    commands: str | Mapping[str, Any]


COMMANDS = {
    "prepare": Group("Make prepared faces of a data set.", "train.datasets:PREPARE"),
    "fit": Group("Train by one of the recipes.", "train.fit:FIT"),
    "evaluate": "train.evaluation.evaluate:Evaluate",
    "calibrate": "train.evaluation.calibrate:Calibrate",
    "robustness": "train.evaluation.robustness:Robustness",
    "strangers": "train.evaluation.strangers:Look",
    "turned": "train.evaluation.turned:Turned",
    "judge": "train.evaluation.judge:Judge",
    "visualize": Group("Draw a figure of a paper.", "train.figures:FIGURES"),
    "reproduce": Group(
        "Repeat the comparison of all methods.", {"ferplus": "train.reproduce:Reproduce"}
    ),
    "export": Group(
        "Write the ONNX files that the application runs.",
        {"face": "train.export.face:ExportFace", "mtcnn": "train.export.mtcnn:ExportMtcnn"},
    ),
    "reference": "train.reference:ServeReference",
}
"""By name: a group; a dataclass with a method `run`, as module:name; or such a type itself, after
what it is for."""


class NoSuchCommandError(Exception):
    """Lists those there are."""


@dataclass(frozen=True)
class NotAsked:
    """Stands for every command that is not the one asked for.

    tyro wants the options of all of them before it reads the command line. They are in modules that
    load PyTorch, which takes a second, and most of them need more than that: so only the module of
    the command asked for is loaded, and what the others are for is read from their text.
    """


def options_of(commands: Mapping[str, Any], words: Sequence[str], before: str) -> Any:
    """The commands as the type that tyro takes; `words`, what stands on the command line after
    `before`, say which is asked for. NoSuchCommandError where they name none."""
    first = words[0] if words else ""
    if first not in (*commands, "-h", "--help"):
        raise NoSuchCommandError(f"usage: {before} {{{','.join(commands)}}} …")
    union: list[Any] = [Annotated[None, Suppress]]  # since a single type makes no union
    for name, command in commands.items():
        options = NotAsked if name != first else loaded(command, words[1:], f"{before} {name}")
        about = subcommand(name, constructor=options, description=description(command))
        union.append(Annotated[Any, OmitArgPrefixes, about])
    return functools.reduce(operator.or_, union)


def loaded(command: Any, words: Sequence[str], before: str) -> Any:
    """The type of a command, or of those in a group."""
    if isinstance(command, Group):
        return options_of(_named(command.commands), words, before)
    return command[1] if isinstance(command, tuple) else _named(command)


def _named(what: Any) -> Any:
    if isinstance(what, str):
        module, name = what.split(":")
        return getattr(import_module(module), name)
    return what


def description(command: Any) -> str:
    """What a command is for: of a dataclass the docstring, read without loading its module."""
    if isinstance(command, Group):
        return command.description
    if isinstance(command, tuple):
        return command[0]
    module, name = command.split(":")
    found = find_spec(module)
    assert found is not None and found.origin is not None
    for node in ast.parse(Path(found.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return ast.get_docstring(node) or ""
    raise LookupError(f"{module} has no class {name}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words, before = list(sys.argv[1:] if arguments is None else arguments), "python -m train"
    try:
        chosen = tyro.cli(options_of(COMMANDS, words, before), prog=before, args=words)
        check_options(chosen)
        return chosen.run() or 0
    except SystemExit as end:  # tyro has printed the help, or what is wrong
        if end.code:
            raise
        return 0
    except NoSuchCommandError as error:
        print(error, file=sys.stderr)
        return 2
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        # Some have neither a number nor a file, but a message.
        reason = error.strerror or str(error) or type(error).__name__
        print(f"{error.filename or 'The disk'}: {reason.rstrip('.')}.", file=sys.stderr)
        return 1
    except MemoryError:
        print("There is not enough memory for that: give it less at a time.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; --resume goes on after the last finished epoch.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
