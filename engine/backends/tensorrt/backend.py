"""TensorRT on NVIDIA GPUs, through either of its distributions.

One thread makes, uses and frees everything of a session. A few numbers of images, to which others
are filled up, have an execution context each, all of them over the same scratch memory, and a CUDA
graph that copies the images to the GPU, runs the network and copies the outputs back. All are
made when the session opens, so that no number of faces is slow when it first comes.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any

import numpy as np

from engine.backends.tensorrt import build, distributions, plan_layers, plans
from engine.backends.tensorrt.cuda_bindings import CapturedGraph
from engine.backends.tensorrt.device_memory import DeviceMemory, open_device_memory
from engine.backends.tensorrt.inference_thread import InferenceThread
from engine.backends.tensorrt.oversize import Oversize
from engine.backends.tensorrt.plans import Plan
from engine.contract import EngineError, Options
from engine.model_file import ModelFile

_SCRATCH = "(scratch)"


class TensorRtBackend:
    """A plan on the first GPU; see :class:`engine.contract.Backend`."""

    concurrent = False

    def __init__(self, model: ModelFile, options: Options):
        stop = threading.Event()
        self._runner = _Runner(model, options, stop)
        self._thread = InferenceThread("tensorrt")
        self._thread.on_stop(self._runner.close)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self._thread.stop)
            on_failure.callback(stop.set)  # Ends a build that an interrupt leaves running.
            self._thread.call(self._runner.open)
            on_failure.pop_all()
        self.precision = self._runner.precision
        self.max_batch = self._runner.max_batch
        self._oversize = Oversize(model, options.threads)
        self.description = ", ".join(filter(None, [self._runner.description, self._oversize.what]))

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self._oversize.takes(arrays):
            return self._oversize.run(arrays)
        return self._thread.call(self._runner.run, arrays)

    def close(self) -> None:
        self._oversize.close()
        self._thread.stop()


@dataclass(slots=True)
class _Lane:
    """One execution context, the shapes it runs, and the graph captured from it once it is warm."""

    context: Any
    shapes: dict[str, tuple[int, ...]]
    output_shapes: dict[str, tuple[int, ...]]
    graph: CapturedGraph | None = None
    runs: int = 0


class _Runner:
    """Engine, contexts, graphs and buffers. After `__init__`, one thread calls everything."""

    def __init__(self, model: ModelFile, options: Options, stop: threading.Event):
        self._model = model
        self._options = options
        self._stop = stop
        self._profile = build.profile_of(model.inputs)
        # Pictures of any size would fill the memory with graphs that hardly run twice.
        self._any_size = any(isinstance(s, str) for info in model.inputs for s in info.shape[1:])
        self._no_graphs = "picture sizes vary" if self._any_size else ""
        self._batches = self._batch_sizes()
        # Only where images come in and out side by side may there be more than were asked for.
        first = {info.shape[:1] for info in model.inputs + model.outputs}
        self._fills_up = len(first) == 1
        self._lanes: dict[int, _Lane] = {}
        self._engine: Any = None
        self._runtime: Any = None
        self._config: Any = None
        self._close_memory = contextlib.ExitStack()
        self.precision = self.description = ""
        self.max_batch = next(iter(self._profile.values()))[2][0]

    def _batch_sizes(self) -> list[int]:
        """The numbers of images that are run; others are filled up to the next."""
        least, _, most = (shape[0] for shape in next(iter(self._profile.values())))
        powers = takewhile(lambda size: size < most, (2**power for power in count()))
        return [*(size for size in powers if size >= least), most]

    def open(self) -> None:
        """Loads the plan, makes the buffers and warms up."""
        # First, for without a driver all the rest is vain.
        self._memory: DeviceMemory = open_device_memory(self._options.gpu)
        self._close_memory.callback(self._memory.close)
        self._distribution = distributions.find()
        self._trt = self._distribution.trt
        self._log = distributions.make_log(self._trt)
        self._load_engine()
        layers = build.inspected(self._trt, self._engine)
        plan_layers.check(layers, self._options.precision)
        self.precision = plan_layers.precision_of(layers)
        self._config = self._runtime_config()
        self._reserve()
        self._warm_up()
        graphs = f"no CUDA graph: {self._no_graphs}" if self._no_graphs else "CUDA graphs"
        self.description = ", ".join(
            [str(self._distribution), self._memory.gpu.name, self._memory.library, graphs]
        )

    def _load_engine(self, unusable: str = "") -> None:
        plan = self._plan(unusable)
        self._runtime = self._trt.Runtime(self._log)
        self._engine = self._runtime.deserialize_cuda_engine(plan.content)
        if self._engine is not None:
            return
        reason = self._reason()
        if plan.cached and not unusable:
            plans.say(f"The cached plan {plan.path} does not load ({reason}).")
            self._load_engine(plan.sha256)
            return
        gpu = self._memory.gpu
        raise EngineError(
            f"{self._distribution} cannot load its plan on {gpu.name} with compute capability "
            f"{gpu.compute_capability} ({reason}): update the NVIDIA driver, or use --backend "
            "onnxruntime."
        )

    def _plan(self, unusable: str) -> Plan:
        arguments = (self._model, self._options.precision, self._distribution, self._memory.gpu)
        if self._options.may_build:
            return build.obtain(*arguments, unusable, self._stop)
        plan = plans.find(build.key_of(*arguments), unusable)
        if plan is None:
            raise EngineError(
                f"There is no plan of {self._model.path.name} in {self._options.precision} for "
                f"{self._memory.gpu.name} yet: `python -m engine build --model "
                f"{self._model.path} --precision {self._options.precision}`."
            )
        return plan

    def _runtime_config(self):
        """How tensorrt-rtx is to compile the plan for this GPU; None with tensorrt."""
        if not self._distribution.portable:
            return None
        trt, config = self._trt, self._engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(
            trt.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        strategies = trt.DynamicShapesKernelSpecializationStrategy
        # A graph keeps the kernels it was captured with, so they must be the final ones by then.
        config.dynamic_shapes_kernel_specialization_strategy = (
            strategies.LAZY if self._any_size else strategies.EAGER
        )
        # All contexts share what one of them has compiled.
        config.set_runtime_cache(config.create_runtime_cache())
        return config

    def _reserve(self) -> None:
        """Makes all buffers, as large as the largest inputs need them."""
        self._memory.reserve_device(_SCRATCH, self._engine.device_memory_size_v2)
        largest = {name: shapes[2] for name, shapes in self._profile.items()}
        lane = self._new_lane()
        self._set_shapes(lane, largest)
        for name, shape in {**largest, **lane.output_shapes}.items():
            self._memory.reserve(name, int(np.prod(shape)) * self._dtype(name).itemsize)

    def _dtype(self, name: str) -> np.dtype:
        return np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(name)))

    def _warm_up(self) -> None:
        """Runs each number of images on nothing until it has a graph, where it is to have one."""
        for batch in self._batches:
            arrays = {
                name: np.zeros((batch, *typical[1:]), self._dtype(name))
                for name, (_, typical, _) in self._profile.items()
            }
            for _ in range(2):
                self.run(arrays)

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As :meth:`engine.contract.Backend.run`."""
        images = len(next(iter(arrays.values())))
        batch = self._filled_up(images)
        shapes = {}
        for name, array in arrays.items():
            shapes[name] = (len(array) + batch - images, *array.shape[1:])
            host = self._memory.host(name, array.dtype, shapes[name])
            np.copyto(host[: len(array)], array)
            host[len(array) :] = 0
        lane = self._lane(batch)
        if lane.graph is None:
            self._set_shapes(lane, shapes)
            if lane.runs and not self._no_graphs:
                self._capture(lane)
        if lane.graph is None:
            self._enqueue(lane)
        else:
            lane.graph.launch()
        self._memory.synchronize()
        lane.runs += 1
        asked_for = slice(images if self._fills_up else None)
        return {
            name: self._memory.host(name, self._dtype(name), shape)[asked_for].copy()
            for name, shape in lane.output_shapes.items()
        }

    def _filled_up(self, images: int) -> int:
        """The number of images to run for so many."""
        if not self._fills_up:
            return images
        return next(size for size in self._batches if size >= images)

    def _lane(self, batch: int) -> _Lane:
        if batch not in self._lanes:
            lane = self._new_lane()
            for name in (*self._profile, *self._output_names()):
                if not lane.context.set_tensor_address(name, self._memory.address(name)):
                    raise EngineError(f"TensorRT takes no buffer for {name} ({self._reason()}).")
            self._lanes[batch] = lane
        return self._lanes[batch]

    def _new_lane(self) -> _Lane:
        trt = self._trt
        context = self._engine.create_execution_context(
            self._config or trt.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        if context is None:
            raise EngineError(
                f"{self._distribution} cannot prepare the plan to run ({self._reason()}): close "
                "other programs that use the GPU, or use --backend onnxruntime."
            )
        size = self._engine.device_memory_size_v2
        context.set_device_memory(self._memory.address(_SCRATCH), size)
        return _Lane(context, {}, {})

    def _output_names(self) -> list[str]:
        return [info.name for info in self._model.outputs]

    def _set_shapes(self, lane: _Lane, shapes: dict[str, tuple[int, ...]]) -> None:
        for name, shape in shapes.items():
            if not lane.context.set_input_shape(name, shape):
                least, _, most = ("×".join(map(str, limit)) for limit in self._profile[name])
                raise EngineError(
                    f"the plan takes {name} from {least} to {most}, not "
                    f"{'×'.join(map(str, shape))}: use smaller pictures, or --backend onnxruntime."
                )
        lane.shapes = shapes
        lane.output_shapes = {
            name: tuple(lane.context.get_tensor_shape(name)) for name in self._output_names()
        }

    def _enqueue(self, lane: _Lane) -> None:
        """Puts copying in, running and copying out on the stream."""
        for name, shape in lane.shapes.items():
            self._memory.upload(name, int(np.prod(shape)) * self._dtype(name).itemsize)
        if not lane.context.execute_async_v3(self._memory.stream):
            raise EngineError(
                f"TensorRT could not run the network ({self._reason()}): open a new session, or "
                "use --backend onnxruntime."
            )
        for name, shape in lane.output_shapes.items():
            self._memory.download(name, int(np.prod(shape)) * self._dtype(name).itemsize)

    def _capture(self, lane: _Lane) -> None:
        """Gives the lane its graph; where that fails, says so once and goes on without graphs."""
        try:
            # Only tensorrt-rtx has networks that cannot be captured, and can tell.
            capturable = getattr(lane.context, "is_stream_capturable", lambda stream: True)
            if not capturable(self._memory.stream):
                raise EngineError("TensorRT cannot capture this network")
            lane.graph = self._memory.capture(lambda: self._enqueue(lane))
        except EngineError as error:
            self._no_graphs = str(error).partition(":")[0]
            plans.say(f"{self._model.path.name} runs without CUDA graphs: {error}")

    def _reason(self) -> str:
        messages = self._log.errors[:]
        self._log.errors.clear()
        return distributions.reason(messages)

    def close(self) -> None:
        """Frees everything, what uses the GPU before what it uses. Closing twice is fine."""
        for lane in self._lanes.values():
            if lane.graph is not None:
                lane.graph.close()
        self._lanes.clear()
        self._config = self._engine = self._runtime = None
        self._close_memory.close()
