"""Stand-ins for cuda-python and pycuda, whose device memory is the host's."""

import ctypes
import enum
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest


class Result(enum.IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_NO_DEVICE = 100
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901


class Driver:
    """The functions of ``cuda.bindings.driver`` that the engine calls, over the host's memory."""

    CUdevice_attribute = SimpleNamespace(
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR=75,
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR=76,
    )
    CUstreamCaptureMode = SimpleNamespace(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1)
    CUstream = int

    def __init__(self):
        self.calls: list[str] = []
        self.failing: dict[str, Result] = {}
        self.blocks: dict[int, object] = {}
        self.recording = None
        self.contexts: list[int] = []

    def __getattr__(self, name):
        if not name.startswith("cu"):
            raise AttributeError(name)

        def call(*arguments):
            self.calls.append(name)
            if name in self.failing:
                return (self.failing[name], None)
            return (Result.CUDA_SUCCESS, *self.answer(name, *arguments))

        return call

    def answer(self, name, *arguments):
        match name:
            case "cuDeviceGetName":
                return (b"NVIDIA Test GPU\0\0\0",)
            case "cuDeviceGetAttribute":
                return (8 if arguments[0] == 75 else 9,)
            case "cuDeviceGetCount":
                return (2,)
            case "cuDeviceGet":
                self.gpu = arguments[0]
                return (0,)
            case "cuDevicePrimaryCtxRetain":
                return (0,)
            case "cuCtxPushCurrent":
                self.contexts.append(arguments[0])
            case "cuCtxSetCurrent":
                self.contexts[-1:] = [arguments[0]]
            case "cuCtxPopCurrent":
                return (self.contexts.pop(),)
            case "cuDevicePrimaryCtxRelease":
                assert 0 not in self.contexts, "the context is still current when it is released"
            case "cuStreamCreate":
                assert arguments == (1,), "the stream must not wait for the default stream"
                return (4242,)
            case "cuMemAlloc" | "cuMemHostAlloc":
                block = (ctypes.c_uint8 * arguments[0])()
                self.blocks[ctypes.addressof(block)] = block
                return (ctypes.addressof(block),)
            case "cuMemFree" | "cuMemFreeHost":
                del self.blocks[arguments[0]]
            case "cuMemcpyHtoDAsync" | "cuMemcpyDtoHAsync":
                target, source, size, stream = arguments
                assert stream == 4242
                self.work(lambda: ctypes.memmove(target, source, size))
            case "cuStreamBeginCapture":
                self.recording = []
            case "cuStreamEndCapture":
                recorded, self.recording = self.recording, None
                return (recorded,)
            case "cuGraphInstantiate":
                return (list(arguments[0]),)
            case "cuGraphLaunch":
                for operation in arguments[0]:
                    operation()
        return ()

    def work(self, operation):
        if self.recording is None:
            operation()
        else:
            self.recording.append(operation)


@pytest.fixture
def driver(monkeypatch):
    driver = Driver()
    bindings = ModuleType("cuda.bindings")
    bindings.driver = driver
    monkeypatch.setitem(sys.modules, "cuda", ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", driver)
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    return driver


@pytest.fixture
def pycuda(monkeypatch):
    """A ``pycuda.driver`` whose device memory is the host's."""
    log = []

    class Error(Exception):
        pass

    class OutOfMemory(Error):
        pass

    class Buffer:
        def __init__(self, size):
            self.array = np.zeros(size, np.uint8)

        def __int__(self):
            return self.array.ctypes.data

        def free(self):
            log.append("free")

    class Host(np.ndarray):
        base = SimpleNamespace(free=lambda: log.append("free host"))

    def pagelocked_empty(size, dtype):
        return np.zeros(size, dtype).view(Host)

    class Stream:
        handle = 4242

        def __init__(self, flags):
            assert flags == 1

        def synchronize(self):
            log.append("synchronize")

    class Context:
        def push(self):
            log.append("push")

        def pop(self):
            log.append("pop")

        def detach(self):
            log.append("detach")

    class Device:
        def __init__(self, index):
            module.gpu = index

        @staticmethod
        def count():
            return 2

        def name(self):
            return "NVIDIA Test GPU"

        def compute_capability(self):
            return (8, 9)

        def retain_primary_context(self):
            log.append("primary context")
            return Context()

    module = ModuleType("pycuda.driver")
    module.__dict__.update(
        Error=Error,
        MemoryError=OutOfMemory,
        Stream=Stream,
        Device=Device,
        init=lambda: log.append("init"),
        mem_alloc=Buffer,
        pagelocked_empty=pagelocked_empty,
        memcpy_htod_async=lambda to, host, _: ctypes.memmove(to, host.ctypes.data, host.nbytes),
        memcpy_dtoh_async=lambda host, at, _: ctypes.memmove(host.ctypes.data, at, host.nbytes),
        log=log,
    )
    package = ModuleType("pycuda")
    package.driver = module
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", module)
    return module
