"""A TensorRT and a GPU made of Python, for a network that doubles its input.

They follow the few rules that the real ones hold their users to: everything in one thread, buffers
that exist, shapes inside the profile, graphs that replay exactly what was recorded.
"""

import json
import threading
from types import SimpleNamespace

import numpy as np

from engine.backends.tensorrt.device_memory import DeviceMemory, Gpu
from engine.backends.tensorrt.distributions import Distribution
from engine.contract import EngineError

HALF_LAYER = {"LayerType": "correlation", "Inputs": [{"Name": "x", "Datatype": "Half"}]}
INT8_LAYER = {"LayerType": "correlation", "Inputs": [{"Name": "x", "Datatype": "Int8"}]}
FLOAT_LAYER = {"LayerType": "correlation", "Inputs": [{"Name": "x", "Datatype": "Float"}]}

LISTING = """Layers:
Name: a, LayerType: correlation, Inputs: [ { Name: x, Dimensions: [-1,3], Datatype: Float, \
Format: (NHWC) }], Constants: [], Outputs: [ { Name: y, Dimensions: [-1,3], Datatype: Half }]"""


class FakeGpu:
    """What happened on the GPU, and what the next calls are to do."""

    def __init__(self):
        self.threads: set[int] = set()
        self.alive: list[str] = []
        self.contexts = self.captures = self.launches = self.executions = self.builds = 0
        self.buffers: dict[int, np.ndarray] = {}
        self.reserved: list[str] = []
        self.layers = [FLOAT_LAYER]
        self.capture_error = self.execute_error = self.build_error = self.load_error = ""
        self.launch_error = ""
        self.factor = 2  # Of what the network gives to what it is given.
        self.loads_that_fail = 0

    def used(self) -> None:
        self.threads.add(threading.get_ident())


class Owned:
    """An object that must be made, used and freed in the GPU's one thread."""

    def __init__(self, gpu: FakeGpu):
        self.gpu = gpu
        gpu.used()
        gpu.alive.append(type(self).__name__)

    def __del__(self):
        self.gpu.used()
        self.gpu.alive.remove(type(self).__name__)


class FakeMemory(DeviceMemory):
    library = "fake-cuda"
    stream = 77

    def __init__(self, gpu: FakeGpu):
        super().__init__()
        self.fake = gpu
        self.gpu = Gpu("Fake GPU", "8.9")
        self.recording: list | None = None
        self.fake.used()
        self.fake.memory = self
        self.fake.alive.append("FakeMemory")

    def do(self, operation) -> None:
        self.fake.used()
        if self.recording is None:
            operation()
        else:
            self.recording.append(operation)

    def reserve_device(self, name, nbytes):
        super().reserve_device(name, nbytes)
        self.fake.reserved.append(name)

    def _allocate(self, nbytes):
        address = 1000 + len(self.fake.buffers)
        self.fake.buffers[address] = np.zeros(nbytes, np.uint8)
        return address

    def _allocate_host(self, nbytes):
        return np.zeros(nbytes, np.uint8)

    def upload(self, name, nbytes):
        device, host = self.fake.buffers[self.address(name)], self._hosts[name]
        self.do(lambda: np.copyto(device[:nbytes], host[:nbytes]))

    def download(self, name, nbytes):
        device, host = self.fake.buffers[self.address(name)], self._hosts[name]
        self.do(lambda: np.copyto(host[:nbytes], device[:nbytes]))

    def synchronize(self):
        self.fake.used()

    def capture(self, enqueue):
        if self.fake.capture_error:
            raise EngineError(self.fake.capture_error)
        self.fake.captures += 1
        self.recording = []
        try:
            enqueue()
        finally:
            recorded, self.recording = self.recording, None
        return FakeGraph(self.fake, recorded)

    def _free(self):
        if "FakeMemory" in self.fake.alive:
            self.fake.used()
            self.fake.buffers.clear()
            self.fake.alive.remove("FakeMemory")


class FakeGraph(Owned):
    def __init__(self, gpu, operations):
        super().__init__(gpu)
        self.operations = operations

    def launch(self):
        self.gpu.used()
        if self.gpu.launch_error:
            raise EngineError(self.gpu.launch_error)
        self.gpu.launches += 1
        for operation in self.operations:
            operation()

    def close(self):
        self.gpu.used()
        self.operations = None


class FakeContext(Owned):
    def __init__(self, engine):
        super().__init__(engine.gpu)
        self.engine = engine
        self.addresses: dict[str, int] = {}
        self.shape: tuple[int, ...] = ()
        self.gpu.contexts += 1

    def set_device_memory(self, address, size):
        assert self.gpu.buffers[address].size >= size

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return address in self.gpu.buffers

    def set_input_shape(self, name, shape):
        least, _, most = self.engine.profile[name]
        fits = all(low <= size <= high for low, size, high in zip(least, shape, most, strict=True))
        self.shape = tuple(shape) if fits else self.shape
        return fits

    def get_tensor_shape(self, name):
        return self.shape

    def is_stream_capturable(self, stream):
        return self.engine.capturable

    def execute_async_v3(self, stream):
        assert stream == FakeMemory.stream
        if self.gpu.execute_error:
            self.engine.log.log(1, self.gpu.execute_error)
            return False
        count = int(np.prod(self.shape))
        buffers, addresses = self.gpu.buffers, dict(self.addresses)

        def double():
            self.gpu.executions += 1
            values = buffers[addresses["values"]].view(np.float32)[:count]
            buffers[addresses["doubled"]].view(np.float32)[:count] = self.gpu.factor * values

        self.gpu.memory.do(double)
        return True


class FakeEngine(Owned):
    device_memory_size_v2 = 512
    capturable = True

    def __init__(self, gpu, plan, log):
        super().__init__(gpu)
        self.plan, self.log = plan, log
        self.profile = dict(plan["profile"])

    def create_execution_context(self, strategy_or_config):
        return FakeContext(self)

    def create_engine_inspector(self):
        text = json.dumps({"Layers": self.plan["layers"]})
        return SimpleNamespace(get_engine_information=lambda form: text)

    def create_runtime_config(self):
        return FakeRuntimeConfig(self.gpu)

    def get_tensor_dtype(self, name):
        return np.float32


class FakeRuntimeConfig(Owned):
    def set_execution_context_allocation_strategy(self, strategy):
        assert strategy == "user"

    def create_runtime_cache(self):
        return "runtime cache"

    def set_runtime_cache(self, cache):
        self.cache = cache


class FakeLogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


def make_distribution(gpu: FakeGpu, portable: bool = False) -> Distribution:
    """A Distribution whose module is made of Python and works on `gpu`."""

    class Runtime(Owned):
        def __init__(self, log):
            super().__init__(gpu)
            self.log = log

        def deserialize_cuda_engine(self, content):
            if gpu.loads_that_fail:
                gpu.loads_that_fail -= 1
                self.log.log(FakeLogger.ERROR, gpu.load_error)
                return None
            return FakeEngine(gpu, json.loads(content), self.log)

    class Builder:
        def __init__(self, log):
            self.log = log

        def create_network(self, flags):
            return SimpleNamespace(flags=flags)

        def create_builder_config(self):
            return FakeBuilderConfig(gpu)

        def create_optimization_profile(self):
            return FakeProfile()

        def build_serialized_network(self, network, config):
            gpu.builds += 1
            gpu.config = config
            config.progress_monitor.phase_start("Building", None, 2)
            for step in range(2):
                if not config.progress_monitor.step_complete("Building", step):
                    return None
            config.progress_monitor.phase_finish("Building")
            if gpu.build_error:
                self.log.log(FakeLogger.ERROR, gpu.build_error)
                return None
            if portable:
                self.log.log(FakeLogger.VERBOSE, LISTING)
            plan = {"layers": gpu.layers, "profile": config.profile.shapes, "build": gpu.builds}
            return json.dumps(plan).encode()

    class Parser:
        num_errors = 0

        def __init__(self, network, log):
            pass

        def parse(self, content):
            return True

    class Monitor:
        def __init__(self):
            pass

    trt = SimpleNamespace(
        ILogger=FakeLogger,
        Builder=Builder,
        OnnxParser=Parser,
        Runtime=Runtime,
        IProgressMonitor=Monitor,
        NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=3),
        BuilderFlag=SimpleNamespace(TF32="tf32"),
        ProfilingVerbosity=SimpleNamespace(DETAILED="detailed"),
        LayerInformationFormat=SimpleNamespace(JSON="json"),
        ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED="user"),
        DynamicShapesKernelSpecializationStrategy=SimpleNamespace(EAGER="eager", LAZY="lazy"),
        nptype=lambda dtype: dtype,
    )
    return Distribution(trt, "FakeRT", "1.2.3", portable)


class FakeProfile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, name, least, typical, most):
        self.shapes[name] = (least, typical, most)


class FakeBuilderConfig:
    def __init__(self, gpu):
        self.gpu = gpu
        self.cleared = []
        self.timings = None

    def clear_flag(self, flag):
        self.cleared.append(flag)

    def add_optimization_profile(self, profile):
        self.profile = profile

    def create_timing_cache(self, content):
        if content and not content.startswith(b"timings"):
            return None
        self.gpu.timings_read = content
        return SimpleNamespace(serialize=lambda: b"timings of build %d" % self.gpu.builds)

    def set_timing_cache(self, timings, ignore_mismatch):
        assert not ignore_mismatch
        self.timings = timings
