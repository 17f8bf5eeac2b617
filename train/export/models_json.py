"""Writes the model files that ship, and their entries in models.json.

models.json has one writer, the engine (:mod:`engine.registry`), which is run as a process: the two
meet in files and commands and nowhere else, so that neither imports the other.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import onnx

from train.errors import UserError
from train.files import whole

MODELS = Path("engine/models")
"""Where they lie, from the root of the repository."""


def save_model(model: onnx.ModelProto, path: Path, metadata: dict[str, str]) -> None:
    """Checks `model`, stores `metadata` in it as ONNX metadata_props and writes it atomically.

    What the torch exporter notes about its own run (source lines and file paths of the machine)
    is taken out, so that the same weights give the same file anywhere.
    """
    graph = model.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    for holder in (graph, model):
        del holder.metadata_props[:]
        holder.doc_string = ""
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    with whole(path) as part:
        part.write_bytes(model.SerializeToString(deterministic=True))


def register(
    path: Path,
    *,
    made_by: str,
    source: str,
    licence: str,
    notes: str = "",
    labels: Sequence[str] = (),
) -> None:
    """Writes or replaces the entry of the model file `path` in the models.json beside it.

    made_by: the command that makes the file. source: whose weights or data these are.
    labels: class names in output order. The name of the entry is the file's without ``.onnx``.
    UserError with the engine's own sentence where it refuses.
    """
    about = {
        "--made-by": made_by,
        "--source": source,
        "--licence": licence,
        "--notes": notes,
        "--labels": json.dumps(list(labels), ensure_ascii=False),
    }
    # "=" keeps a text that begins with a dash from being read as an option.
    options = [f"{option}={text}" for option, text in about.items()]
    done = subprocess.run(
        [sys.executable, "-m", "engine", "register", str(path), *options],
        capture_output=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise UserError(done.stderr.strip())
