"""``python -m train``: prepare, fit, evaluate, calibrate, judge, visualize, reproduce, export."""

from __future__ import annotations

import sys
from importlib import import_module

import tyro
from tyro.conf import OmitArgPrefixes

from train.errors import UserError
from train.options import check_options

COMMANDS = {
    "prepare": "train.datasets:PREPARE",
    "fit": "train.fit:FIT",
    "evaluate": "train.evaluation.evaluate:Evaluate",
    "calibrate": "train.evaluation.calibrate:Calibrate",
    "robustness": "train.evaluation.robustness:Robustness",
    "judge": "train.evaluation.judge:Judge",
    "visualize": "train.figures:FIGURES",
    "reproduce": {"ferplus": "train.reproduce:Reproduce"},
    "export": {"face": "train.export.face:ExportFace", "mtcnn": "train.export.mtcnn:ExportMtcnn"},
    "reference": "train.reference:ServeReference",
}
"""A dataclass with a method `run`, or a dict of further commands, as module:name. A module is
loaded with its command alone: PyTorch takes a second, and most commands need more than that."""


def _loaded(command: object) -> object:
    if isinstance(command, str):
        module, name = command.split(":")
        return getattr(import_module(module), name)
    return command


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    rest = list(sys.argv[1:] if arguments is None else arguments)
    command, words = COMMANDS, ["python -m train"]
    while isinstance(command, dict):
        word = rest.pop(0) if rest else ""
        if word not in command:
            asked = word in ("-h", "--help")
            usage = f"usage: {' '.join(words)} {{{','.join(command)}}} …"
            print(usage, file=sys.stdout if asked else sys.stderr)
            return 0 if asked else 2
        command = _loaded(command[word])
        words.append(word)
    try:
        chosen = tyro.cli(OmitArgPrefixes[command], prog=" ".join(words), args=rest)
        check_options(chosen)
        return chosen.run() or 0
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
