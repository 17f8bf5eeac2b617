"""ONNX → TensorRT plan, for both distributions of TensorRT.

The network is strongly typed: every type comes from the ONNX graph, which ``plan_graph``
prepares. What was built is read back from TensorRT and must compute in the precision asked for.
"""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

from engine import output
from engine.backends.tensorrt import distributions, plan_layers, plans
from engine.backends.tensorrt.device_memory import Gpu
from engine.backends.tensorrt.distributions import PORTABLE_CAPABILITIES, Distribution
from engine.backends.tensorrt.plan_graph import graph_for
from engine.backends.tensorrt.plan_layers import LayerCount
from engine.backends.tensorrt.plans import Plan, PlanKey
from engine.backends.tensorrt.progress import Progress
from engine.contract import EngineError, TensorInfo
from engine.model_file import ModelFile

RECIPE = 1
"""Goes up with every change to this module that makes other plans of the same model."""

FACES = (1, 4, 32)
"""Least, typical and most images in one run."""

IMAGE_SIDE = (12, 160, 1920)
"""Least, typical and most pixels of a free height or width; P-Net sees nothing below 12. The most
covers frames of 1920×1080 whole and larger ones in which faces of 24 pixels are looked for."""

Shape = tuple[int, ...]


def profile_of(inputs: tuple[TensorInfo, ...]) -> dict[str, tuple[Shape, Shape, Shape]]:
    """Least, typical and largest shape of each input by name.

    The first dimension is the number of images. Where their height or width is free too, that
    number is one: 32 of the largest pictures would need tens of GB.
    """
    free_sides = any(isinstance(size, str) for info in inputs for size in info.shape[1:])
    batches = (1, 1, 1) if free_sides else FACES
    least, typical, most = zip(batches, IMAGE_SIDE, strict=True)
    return {
        info.name: (_shape(info, *least), _shape(info, *typical), _shape(info, *most))
        for info in inputs
    }


def _shape(info: TensorInfo, batch: int, side: int) -> Shape:
    """The shape of `info` with these sizes where it is free."""
    return tuple(
        size if isinstance(size, int) else side if axis else batch
        for axis, size in enumerate(info.shape)
    )


def key_of(
    model: ModelFile, precision: str, distribution: Distribution, gpu: Gpu | None
) -> PlanKey:
    """The PlanKey of `model` as :func:`obtain` builds it.

    gpu: the one that will run it; a portable plan is the same for every GPU and for None.
    """
    made_for = Gpu("any RTX GPU", PORTABLE_CAPABILITIES) if distribution.portable else gpu
    if made_for is None:
        raise ValueError(f"A plan of {distribution} is built for one GPU.")
    shapes = [f"{name} {shapes}" for name, shapes in profile_of(model.inputs).items()]
    return PlanKey(
        model_sha256=model.sha256,
        distribution=distribution.name,
        version=distribution.version,
        gpu=made_for.name,
        compute_capability=made_for.compute_capability,
        precision=precision,
        profile="; ".join(shapes),
        recipe=RECIPE,
    )


def obtain(
    model: ModelFile,
    precision: str,
    distribution: Distribution,
    gpu: Gpu | None,
    unusable: str = "",
    stop: threading.Event | None = None,
) -> Plan:
    """The plan of `model` from the cache, or built now and put there.

    unusable: sha256 of a plan that must not be taken. stop: ends a build when it is set.
    EngineError where it cannot be built, or computes in another precision than the one asked for.
    """
    key = key_of(model, precision, distribution, gpu)
    cache = None
    if not distribution.portable:
        # tensorrt-rtx measures nothing while it builds, so it has no timings to keep.
        gpu_name = re.sub(r"\W+", "-", key.gpu)
        cache = plans.folder() / f"timings-{distribution.version}-{gpu_name}.cache"

    def build() -> Plan:
        return build_plan(model, precision, distribution, cache, stop)

    return plans.find_or_build(key, build, unusable)


def build_plan(
    model: ModelFile,
    precision: str,
    distribution: Distribution,
    timing_cache: Path | None = None,
    stop: threading.Event | None = None,
) -> Plan:
    """Builds `model` and reads back what was built; see :func:`obtain`.

    timing_cache: file with the timings of earlier builds, made or brought up to date where that
    is possible. Progress goes to stderr where that is a terminal.
    """
    content = graph_for(model, precision)
    trt = distribution.trt
    log = distributions.make_log(trt)
    start = time.perf_counter()
    builder = _builder(trt, log)
    # Networks are always strongly typed from TensorRT 11 on; before, on demand.
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if flag is None else 1 << int(flag))
    parser = _parsed(trt, network, content, log)
    config = _configured(trt, builder, model)
    timings = _load_timings(config, timing_cache)
    with Progress(f"Building {model.path.stem} in {precision}", stop) as progress:
        monitor = progress.monitor(trt)
        if monitor is not None:
            config.progress_monitor = monitor
        serialized = builder.build_serialized_network(network, config)
    del parser
    if serialized is None:
        raise _build_error(distribution, log.errors, stop)
    plan = bytes(serialized)
    if timings is not None and timing_cache is not None:
        _store_timings(timings, timing_cache)
    layers = _layers(distribution, plan, log)
    plan_layers.check(layers, precision)
    return Plan(plan, layers, time.perf_counter() - start)


def _builder(trt, log):
    try:
        return trt.Builder(log)
    except TypeError as error:  # What pybind11 makes of a null pointer.
        raise EngineError(
            f"TensorRT cannot build here ({distributions.reason(log.errors)}): check the driver "
            'with nvidia-smi, or `pip install ".[tensorrt-rtx]"`, which builds without a GPU.'
        ) from error


def _parsed(trt, network, content: bytes, log):
    """The parser, which owns the weights of the network until the plan is built."""
    parser = trt.OnnxParser(network, log)
    if parser.parse(content):
        return parser
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    operator = errors[0].node_operator() if errors else ""
    where = f" at the node {errors[0].node_name()} ({operator})" if operator else ""
    text = distributions.reason([error.desc() for error in errors] or log.errors)
    remedy = "export it without that"
    if operator in ("QuantizeLinear", "DequantizeLinear"):
        remedy = "make it with `python -m engine quantize --flavour tensorrt`"
    raise EngineError(
        f"TensorRT's ONNX parser rejects the model{where}, saying: {text}; {remedy}, or use "
        "--backend onnxruntime."
    )


def _configured(trt, builder, model: ModelFile):
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # Else no types to read back.
    config.clear_flag(trt.BuilderFlag.TF32)  # fp32 means fp32: TF32 rounds to 10 bits.
    if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):
        # Memory that tensorrt-rtx allocates while it runs could not go into a CUDA graph.
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    profile = builder.create_optimization_profile()
    for name, (least, typical, most) in profile_of(model.inputs).items():
        profile.set_shape(name, least, typical, most)
    config.add_optimization_profile(profile)
    return config


def _load_timings(config, path: Path | None):
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    timings = config.create_timing_cache(content)
    if timings is None:  # Written by another build of TensorRT, or damaged.
        timings = config.create_timing_cache(b"")
    config.set_timing_cache(timings, False)
    return timings


def _store_timings(timings, path: Path) -> None:
    try:
        output.write(path, bytes(timings.serialize()))
    except EngineError as error:
        plans.say(f"{error} The next build measures anew.")


def _layers(distribution: Distribution, plan: bytes, log) -> tuple[LayerCount, ...]:
    layers = plan_layers.from_builder(log.layers)
    if layers:
        return layers
    engine = distribution.trt.Runtime(log).deserialize_cuda_engine(plan)
    if engine is None:
        raise EngineError(
            f"{distribution} cannot load the plan that it built "
            f"({distributions.reason(log.errors)}): update the NVIDIA driver, or use --backend "
            "onnxruntime."
        )
    return inspected(distribution.trt, engine)


def inspected(trt, engine) -> tuple[LayerCount, ...]:
    """The layers of a deserialised plan, from TensorRT's engine inspector."""
    inspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
    return plan_layers.from_inspector(text)


def _build_error(distribution, errors: list[str], stop: threading.Event | None) -> EngineError:
    if stop is not None and stop.is_set():
        return EngineError("The build was stopped; nothing was kept of it.")
    text = distributions.reason(errors)
    if any("outofmemory" in message.lower().replace(" ", "") for message in errors):
        return EngineError(
            f"There is not enough memory to build the plan ({text}): close other programs, "
            "those on the GPU first, or use --backend onnxruntime."
        )
    return EngineError(
        f"{distribution} cannot build the model ({text}): try another precision, or use "
        "--backend onnxruntime."
    )
