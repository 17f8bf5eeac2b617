"""The cache of built TensorRT plans: one file and one sidecar JSON for each.

The folder is the user's cache folder of the platform, or the one that ``IPD_FER_CACHE`` names.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from engine import output
from engine.backends.tensorrt.plan_layers import LayerCount
from engine.contract import EngineError, NotInstalled

try:
    import filelock
    import platformdirs
except ModuleNotFoundError as error:
    raise NotInstalled(
        f"The cache of TensorRT plans needs the package {error.name}: "
        '`pip install ".[tensorrt]"` or `pip install ".[tensorrt-rtx]"`.'
    ) from error

logger = logging.getLogger(__name__)

FOLDER_VARIABLE = "IPD_FER_CACHE"


def folder() -> Path:
    """Where plans are kept; it need not exist yet."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen)
    return platformdirs.user_cache_path("ipd-fer", appauthor=False) / "plans"


@dataclass(frozen=True, slots=True)
class PlanKey:
    """All that a plan depends on: another value of any field is another plan.

    model_sha256: hex digest of the ONNX file. distribution, version: of TensorRT. gpu,
    compute_capability: of the GPU it was built for; for a portable plan, the range it runs on.
    precision: the one asked for. profile: shapes it takes. recipe: RECIPE of ``build``.
    """

    model_sha256: str
    distribution: str
    version: str
    gpu: str
    compute_capability: str
    precision: str
    profile: str
    recipe: int

    @property
    def file_name(self) -> str:
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        return f"{self.precision}-{digest[:24]}.plan"


@dataclass(frozen=True, slots=True)
class Plan:
    """A built plan: its bytes and what is known of them.

    layers: what TensorRT built. seconds: how long the build took. path: its file in the cache,
    None where it could not be kept. cached: whether it was there before.
    """

    content: bytes
    layers: tuple[LayerCount, ...]
    seconds: float
    path: Path | None = None
    cached: bool = False

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def say(message: str) -> None:
    """Tells the user, on stderr unless logging is set up otherwise; the cache works whatever
    happens, but never in silence."""
    logger.warning("%s", message)


def find(key: PlanKey, unusable: str = "", tell: Callable[[str], None] = say) -> Plan | None:
    """The plan for `key` in the cache, or None.

    A plan that is there but damaged, made for another key, or has the sha256 `unusable` counts as
    missing; `tell` hears why, except of `unusable`, of which the caller knows.
    """
    path = folder() / key.file_name
    try:
        sidecar = json.loads(_sidecar(path).read_text(encoding="utf-8"))
        content = path.read_bytes()
        layers = tuple(LayerCount(**layer) for layer in sidecar["layers"])
        plan = Plan(content, layers, float(sidecar["seconds"]), path, cached=True)
        wrong = _mismatch(sidecar, key, plan)
    except OSError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        wrong = "its sidecar is damaged"
    if wrong:
        tell(f"The cached plan {path} is not used, {wrong}: it is built again.")
        return None
    return None if plan.sha256 == unusable else plan


def _mismatch(sidecar: dict, key: PlanKey, plan: Plan) -> str:
    wanted = asdict(key)
    different = [name for name in wanted if sidecar["key"].get(name) != wanted[name]]
    if different:
        name = different[0]
        return f"its {name} is {sidecar['key'].get(name)} and not {wanted[name]}"
    return "" if sidecar["sha256"] == plan.sha256 else "the file is damaged"


def find_or_build(
    key: PlanKey,
    build: Callable[[], Plan],
    unusable: str = "",
    tell: Callable[[str], None] = say,
) -> Plan:
    """The plan for `key`, built with `build` where the cache has none.

    Of several processes that want the same plan at once, one builds and the others wait. Where the
    cache cannot be written, the plan is built and used all the same, and `tell` hears that it is
    not kept. unusable: sha256 of a plan that cannot be used, "" for none. Errors of `build` pass.
    """
    plan = find(key, unusable, tell)
    if plan is not None:
        return plan
    path = folder() / key.file_name
    with _locked(path, tell) as writable:
        # Another process may have built it while this one waited; what is wrong was told above.
        plan = find(key, unusable, lambda _: None) if writable else None
        if plan is None:
            plan = build()
            if writable:
                plan = _stored(path, key, plan, tell)
    return plan


@contextlib.contextmanager
def _locked(path: Path, tell: Callable[[str], None]) -> Iterator[bool]:
    """Holds the lock of one plan; gives whether the cache can be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            tell("Waiting for another process that builds the same plan.")
            lock.acquire()
    except OSError as error:
        tell(_not_kept(f"{path.parent} cannot be written: {error.strerror or error}."))
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _stored(path: Path, key: PlanKey, plan: Plan, tell: Callable[[str], None]) -> Plan:
    try:
        write(path, key, plan)
    except EngineError as error:
        tell(_not_kept(str(error)))
        return plan
    return Plan(plan.content, plan.layers, plan.seconds, path)


def write(path: Path, key: PlanKey, plan: Plan) -> None:
    """Writes the plan to `path` and what it is to `path` + ".json"; EngineError where it cannot.

    Each file is whole or not there. The sidecar comes last: without it a plan counts as missing.
    """
    sidecar = {
        "key": asdict(key),
        "sha256": plan.sha256,
        "seconds": round(plan.seconds, 3),
        "layers": [asdict(layer) for layer in plan.layers],
    }
    output.write(path, plan.content)
    output.write(_sidecar(path), (json.dumps(sidecar, indent=2) + "\n").encode())


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _not_kept(reason: str) -> str:
    return (
        f"{reason} The plan is not kept and will be built again next time: set {FOLDER_VARIABLE} "
        "to a folder that can be written."
    )
