"""Writes the model files that ship, and their entries in models.json.

The engine only reads them (:mod:`engine.registry`). The two meet in the files and nowhere else,
so that neither imports the other.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import onnx


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
    _write(path, model.SerializeToString(deterministic=True))


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
    """
    content = path.read_bytes()
    entry = {
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "made_by": made_by,
        "source": source,
        "licence": licence,
        "notes": notes,
        "labels": list(labels),
    }
    listing = path.parent / "models.json"
    known = json.loads(listing.read_text(encoding="utf-8")) if listing.exists() else {}
    known[path.stem] = entry
    text = json.dumps(dict(sorted(known.items())), indent=2, ensure_ascii=False) + "\n"
    _write(listing, text.encode("utf-8"))


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
