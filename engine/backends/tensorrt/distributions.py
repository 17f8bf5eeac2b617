"""The two distributions of TensorRT, which share one Python interface.

``tensorrt`` (10.12 and newer) builds a plan for the GPU in front of it. ``tensorrt-rtx`` (module
``tensorrt_rtx``) builds without a GPU a plan that every RTX GPU of its range runs, and compiles it
for the GPU at hand when it is loaded.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from engine.contract import EngineError, NotInstalled

PORTABLE_CAPABILITIES = "8.0, 8.6, 8.9, 12.0 and newer"
"""Compute capabilities that a plan of tensorrt-rtx runs on by default (NVIDIA, "CPU-Only AOT and
TensorRT-RTX Engines"): Ampere and later RTX GPUs, not Turing and not Hopper."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """One installed TensorRT.

    trt: its module. name: as NVIDIA writes it. version: its own, such as "1.7.1.116". portable:
    whether its plans are built without a GPU and for a range of them.
    """

    trt: ModuleType
    name: str
    version: str
    portable: bool

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class _Known:
    module: str
    package: str
    name: str
    minimum: tuple[int, int]
    portable: bool


_TENSORRT = _Known("tensorrt", "tensorrt", "TensorRT", (10, 12), False)
_TENSORRT_RTX = _Known("tensorrt_rtx", "tensorrt-rtx", "TensorRT-RTX", (1, 4), True)


def find(portable_only: bool = False) -> Distribution:
    """The TensorRT to use: ``tensorrt`` where it is installed, else ``tensorrt-rtx``.

    portable_only: take only the one that builds without a GPU. EngineError, with the command that
    installs one, where there is none, where it is too old or where its libraries do not load.
    """
    for known in (_TENSORRT_RTX,) if portable_only else (_TENSORRT, _TENSORRT_RTX):
        try:
            module = importlib.import_module(known.module)
        except ModuleNotFoundError as error:
            if error.name != known.module:
                raise _broken(known, error) from error
        except (ImportError, OSError) as error:
            raise _broken(known, error) from error
        else:
            return _checked(known, module)
    if portable_only:
        raise NotInstalled(
            "Building a plan without an NVIDIA driver needs the package tensorrt-rtx: "
            'install it with `pip install ".[tensorrt-rtx]"`, or install a driver.'
        )
    raise NotInstalled(
        'TensorRT is not installed: `pip install ".[tensorrt]"` for any NVIDIA GPU, or '
        '`pip install ".[tensorrt-rtx]"` for GeForce and RTX GPUs.'
    )


def _checked(known: _Known, module: ModuleType) -> Distribution:
    version = module.__version__
    numbers = tuple(int(part) for part in version.split(".")[:2])
    if numbers < known.minimum:
        minimum = ".".join(map(str, known.minimum))
        raise EngineError(
            f"{known.name} {version} is too old, {minimum} or newer is needed: "
            f'`pip install --upgrade ".[{known.package}]"`.'
        )
    return Distribution(module, known.name, version, known.portable)


def _broken(known: _Known, error: Exception) -> EngineError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return EngineError(
        f"{known.name} is installed but does not load ({reason}): "
        f'`pip install --force-reinstall ".[{known.package}]"`.'
    )


def make_log(trt: ModuleType):
    """A logger for `trt` that prints nothing and keeps what is of use afterwards.

    It has `errors`, the messages of severity ERROR and worse in order, and `layers`, the listing
    of the layers that the builder writes after a build ("" where it writes none).
    """

    base: Any = trt.ILogger

    class Log(base):
        def __init__(self):
            base.__init__(self)
            self.errors: list[str] = []
            self.layers = ""

        def log(self, severity, message):
            if severity <= base.ERROR:
                self.errors.append(message)
            elif message.startswith("Layers:\n"):
                self.layers = message

    return Log()


def reason(messages: list[str]) -> str:
    """The first of TensorRT's messages that says something, as part of one line."""
    for line in (line.strip() for message in messages for line in message.splitlines()):
        # Without a GPU every message is followed by one about the missing driver; and the parser
        # begins with what is said of the node anyway.
        if line and "catchCudaError" not in line and not line.startswith("Invalid Node"):
            return line.rstrip(".")
    return "TensorRT gives no reason"
