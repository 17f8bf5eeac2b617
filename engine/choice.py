"""Which backend, device and precision: what there is, what "auto" prefers, and how to load it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from engine import backends, registry
from engine.backends import BACKENDS
from engine.contract import PRECISIONS, Backend, EngineError, NotInstalled, Options, parted
from engine.model_file import ModelFile

DEVICES = ("auto", "cpu", "cuda")

if TYPE_CHECKING:
    BackendName = str
else:
    BackendName = Literal[("auto", *sorted(BACKENDS))]
"""The type of an option that takes a backend: its values are "auto" and those in the list."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to run a model: a backend; "cpu", "cuda" or "cuda:1"; and a precision."""

    backend: str
    device: str
    precision: str

    def __str__(self) -> str:
        return f"{self.library} {self.precision}"

    @property
    def library(self) -> str:
        title = BACKENDS[self.backend].title
        devices = BACKENDS[self.backend].devices
        return (
            f"{title} with CUDA" if parted(self.device)[0] == "cuda" and len(devices) > 1 else title
        )


REFERENCE = Choice("onnxruntime", "cpu", "fp32")
"""What every other choice is compared with."""

_RANKS = {
    Choice(name, way.device, way.precision): way.rank
    for name, info in BACKENDS.items()
    for way in info.ways
}

AUTO_ORDER = tuple(sorted(_RANKS, key=_RANKS.__getitem__))
"""The order in which "auto" tries them, by the ranks that the backends give: fastest first by
`python -m engine bench`. A fixed order, for measuring at every start would take longer than it
saves."""


def choices(
    model: ModelFile, backend: str = "auto", device: str = "auto", precision: str = "auto"
) -> list[Choice]:
    """The ways to run `model` that these options leave open, best first; some may not work here.

    EngineError for an option that does not exist and where the options leave nothing.
    """
    places = _places(backend, device)
    _check("precision", precision, ("auto", *PRECISIONS))
    if precision == "auto" and model.precision == "fp32":
        kinds = {(backend, parted(device)[0]): device for backend, device in places}
        ways = [
            replace(way, device=kinds[way.backend, way.device])
            for way in AUTO_ORDER
            if (way.backend, way.device) in kinds
        ]
    else:
        how = model.precision if precision == "auto" else precision
        ways = [Choice(*place, how) for place in places]
    possible = [way for way in ways if _has_source(model, way)]
    if not possible:
        raise _no_source(model, ways[-1])
    return possible


def every_choice(
    model: ModelFile, backend: str = "auto", device: str = "auto", precision: str = "auto"
) -> list[Choice]:
    """Every way to run `model` that these options leave open, the reference first; "auto" leaves
    all open. EngineError as in :func:`choices`."""
    best = choices(model, backend, device, precision)
    ways = [Choice(*place, how) for place in _places(backend, device) for how in PRECISIONS]
    possible = [way for way in ways if _has_source(model, way)]
    asked = best if precision != "auto" else possible
    return sorted(asked, key=lambda way: way != REFERENCE)


def left_out_lines(left_out: dict[Choice, EngineError]) -> list[str]:
    """What could not be opened, as text: a line for each reason."""
    ways: dict[str, list[str]] = {}
    for way, error in left_out.items():
        ways.setdefault(str(error), []).append(str(way))
    return [f"left out: {', '.join(names)}: {reason}" for reason, names in ways.items()]


def load(
    model: ModelFile, choice: Choice, threads: int | None = None, may_build: bool = True
) -> tuple[ModelFile, Backend]:
    """`model`, or its INT8 flavour where `choice` is INT8, and the backend that has loaded it.

    NotInstalled where the library is not there, EngineError for anything else that fails.
    """
    info = BACKENDS[choice.backend]
    if not any(find_spec(module) for module in info.modules):
        raise NotInstalled(f"{info.title} is not installed: install it with `{info.install}`.")
    if choice.precision == "int8" and model.precision != "int8":
        model = registry.int8_flavour(model, info.int8)
    options = Options(choice.device, choice.precision, threads, may_build)
    return model, backends.load(choice.backend, model, options)


def _places(backend: str, device: str) -> list[tuple[str, str]]:
    """The pairs of backend and device that these options leave open, best first."""
    _check("backend", backend, ("auto", *BACKENDS))
    kind, number = parted(device)
    if kind not in DEVICES:
        raise EngineError(
            f"There is no device {device}. Devices: {', '.join(DEVICES)}; of several GPUs, cuda:1 "
            "is the second."
        )
    every = dict.fromkeys((way.backend, way.device) for way in AUTO_ORDER)
    named = f"cuda:{number}" if number else "cuda"
    places = [
        (b, named if d == "cuda" else d)
        for b, d in every
        if backend in ("auto", b) and kind in ("auto", d)
    ]
    if not places:
        devices = " and ".join(BACKENDS[backend].devices)
        raise EngineError(
            f"{BACKENDS[backend].title} does not run on {device}: use --device {devices}, or "
            "another backend."
        )
    return places


def _check(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise EngineError(f"There is no {what} {value}. {what.capitalize()}s: {', '.join(known)}.")


def _has_source(model: ModelFile, way: Choice) -> bool:
    """Whether there is a file from which this way could be run."""
    info = BACKENDS[way.backend]
    if way.precision == model.precision:
        return True
    if model.precision != "fp32":
        return False
    return way.precision in info.converts or (
        way.precision == "int8" and registry.int8_path(model, info.int8).is_file()
    )


def _no_source(model: ModelFile, way: Choice) -> EngineError:
    if model.precision != "fp32":
        return EngineError(
            f"{model.path.name} is written in {model.precision} and cannot be run in "
            f"{way.precision}: use --precision {model.precision}."
        )
    info = BACKENDS[way.backend]
    if way.precision == "int8":
        return registry.no_int8(model, info.int8, "is not there")
    able = [name for name, other in BACKENDS.items() if way.precision in other.converts]
    return EngineError(
        f"{info.title} computes {model.path.name} in {' or '.join(info.converts)}, not in "
        f"{way.precision}: use --precision {info.converts[0]}, or --backend {' or '.join(able)}."
    )
