"""The list of backends: each is one module in this folder, with

- ``INFO``, a :class:`engine.contract.BackendInfo`: all that must be known before it is used, and
- ``load(model: ModelFile, options: Options) -> Backend``, which alone imports its library, so one
  that is not installed costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from engine.contract import Backend, BackendInfo, Int8Flavour, Options
from engine.model_file import ModelFile

_NAMES = (
    "tensorrt",
    "openvino",
    "onnxruntime",
)

_MODULES: dict[str, ModuleType] = {name: import_module(f"{__name__}.{name}") for name in _NAMES}

BACKENDS: dict[str, BackendInfo] = {name: module.INFO for name, module in _MODULES.items()}

_flavours = {info.int8.name: info.int8 for info in BACKENDS.values()}

INT8_FLAVOURS: dict[str, Int8Flavour] = dict(sorted(_flavours.items()))
"""The flavours that backends take, by name."""


def load(name: str, model: ModelFile, options: Options) -> Backend:
    """`model` loaded by the backend `name`; EngineError where that fails."""
    return _MODULES[name].load(model, options)
