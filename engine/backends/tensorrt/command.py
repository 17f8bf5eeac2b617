"""``python -m engine build``: a TensorRT plan ahead of its first use, on a machine with or without
a GPU."""

from __future__ import annotations

import threading
from pathlib import Path

from engine import registry
from engine.backends.tensorrt import INFO, build, distributions, plan_layers, plans
from engine.backends.tensorrt.device_memory import Gpu, NoDriver, open_device_memory
from engine.backends.tensorrt.inference_thread import InferenceThread
from engine.backends.tensorrt.plans import Plan, PlanKey
from engine.contract import EngineError
from engine.model_file import ModelFile


def run(name: str | None, precision: str, output: Path | None = None) -> None:
    """Builds plans, or finds them in the cache, and prints what they are.

    name: a shipped model or an ONNX file; None is every shipped network. precision: "fp32",
    "fp16" or "int8"; in "int8", every network is those that have an INT8 flavour for TensorRT.
    output: the plan of the one model is copied there too, with its sidecar. EngineError where any
    of it cannot be done.
    """
    if name is None and output is not None:
        raise EngineError("--output takes the plan of one model: name it with --model.")
    models = [_model(name, precision)] if name else _every_model(precision)
    stop = threading.Event()
    # In a thread, for Python raises an interrupt in the main one, and an interrupt in the midst
    # of TensorRT's calls back would end the process.
    thread = InferenceThread("build")
    try:
        for model in models:
            key, plan = thread.call(_obtain, model, precision, stop)
            _print(model, key, plan)
    finally:
        stop.set()
        thread.stop()
    if output is not None:
        plans.write(output, key, plan)
        print(f"  copied to {output}")


def _model(name: str, precision: str) -> ModelFile:
    model = registry.read(registry.find(name))
    if precision == "int8" and model.precision != "int8":
        model = registry.int8_flavour(model, INFO.int8)
    return model


def _every_model(precision: str) -> list[ModelFile]:
    models = registry.networks()
    if precision != "int8":
        return models
    quantized = [model for model in models if registry.int8_path(model, INFO.int8).is_file()]
    if not quantized:
        raise EngineError(
            "No shipped network has an INT8 flavour for TensorRT: make one with `python -m engine "
            "quantize --flavour tensorrt --faces FOLDER`, or use --precision fp16."
        )
    return [registry.int8_flavour(model, INFO.int8) for model in quantized]


def _obtain(model: ModelFile, precision: str, stop: threading.Event) -> tuple[PlanKey, Plan]:
    gpu = _gpu()
    distribution = distributions.find(portable_only=gpu is None)
    key = build.key_of(model, precision, distribution, gpu)
    return key, build.obtain(model, precision, distribution, gpu, stop=stop)


def _gpu() -> Gpu | None:
    try:
        memory = open_device_memory()
    except NoDriver:
        return None
    memory.close()
    return memory.gpu


def _print(model: ModelFile, key: PlanKey, plan: Plan) -> None:
    shapes = [
        f"{name} {_text(least)} to {_text(most)}"
        for name, (least, _, most) in build.profile_of(model.inputs).items()
    ]
    size = f"{len(plan.content) / 2**20:.1f} MiB"
    fields = {
        "precision": f"{key.precision}; {plan_layers.summary(plan.layers)}",
        "made for": f"{key.gpu}, compute capability {key.compute_capability}",
        "takes": ", ".join(shapes),
        "size": f"{size}, {'built before' if plan.cached else 'built'} in {plan.seconds:.1f} s",
        "plan": str(plan.path or "not kept"),
    }
    print(f"{model.path.name} ({model.sha256[:12]}): {key.distribution} {key.version}")
    for field, text in fields.items():
        print(f"  {field:<9} {text}", flush=True)


def _text(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
