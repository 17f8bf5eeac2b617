"""GPU memory, pinned host memory and a stream: all of one session, owned by one object.

Through pycuda where it is installed, else through cuda-python; both on the GPU's primary context,
which TensorRT uses too. Whoever makes a :class:`DeviceMemory` uses and closes it in that thread.
"""

from __future__ import annotations

import contextlib
import ctypes
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.backends.tensorrt.cuda_bindings import (
    CHECK_DRIVER,
    NO_MEMORY,
    CapturedGraph,
    checked,
    cuda_bindings,
)
from engine.contract import EngineError

NO_DRIVER = (
    "TensorRT needs an NVIDIA driver; none was found. Install one from "
    "https://www.nvidia.com/drivers, or use --backend onnxruntime."
)
NO_LIBRARY = (
    "TensorRT needs pycuda or cuda-python for GPU memory; neither is installed: "
    "`pip install cuda-bindings`."
)
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: never waits for the default stream of other libraries.


class NoDriver(EngineError):
    """There is no NVIDIA driver on this machine."""

    def __init__(self, message: str = NO_DRIVER):
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: its name as NVIDIA writes it and its compute capability, such as "8.9"."""

    name: str
    compute_capability: str


class DeviceMemory(ABC):
    """Named pairs of a pinned host buffer and a device buffer, and the stream between them.

    library: what it goes through. gpu: the first GPU that CUDA shows. stream: the CUstream as a
    number. Every method raises EngineError where CUDA fails.
    """

    library: str
    gpu: Gpu
    stream: int

    def __init__(self):
        self._hosts: dict[str, np.ndarray] = {}
        self._addresses: dict[str, int] = {}

    def reserve(self, name: str, nbytes: int) -> None:
        """Makes the pair `name` of `nbytes` each, once and for all."""
        self.reserve_device(name, nbytes)
        self._hosts[name] = self._allocate_host(max(nbytes, 1))

    def reserve_device(self, name: str, nbytes: int) -> None:
        """Makes a device buffer alone."""
        self._addresses[name] = self._allocate(max(nbytes, 1))

    def host(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """The start of the pinned buffer as an array; a view, valid until :meth:`close`."""
        nbytes = int(np.prod(shape)) * dtype.itemsize
        return self._hosts[name][:nbytes].view(dtype).reshape(shape)

    def address(self, name: str) -> int:
        """Where the device buffer is."""
        return self._addresses[name]

    def capture(self, enqueue: Callable[[], None]) -> CapturedGraph:
        """The work that `enqueue` puts on the stream, as a CUDA graph, which the caller closes."""
        return CapturedGraph(self.stream, enqueue)

    def close(self) -> None:
        """Waits for the stream and frees everything. Closing twice is fine."""
        self._hosts.clear()
        self._addresses.clear()
        self._free()

    @abstractmethod
    def upload(self, name: str, nbytes: int) -> None:
        """Puts the copy of the first `nbytes` from host to device on the stream."""

    @abstractmethod
    def download(self, name: str, nbytes: int) -> None:
        """Puts the copy of the first `nbytes` from device to host on the stream."""

    @abstractmethod
    def synchronize(self) -> None:
        """Waits until the stream is done."""

    @abstractmethod
    def _allocate(self, nbytes: int) -> int: ...

    @abstractmethod
    def _allocate_host(self, nbytes: int) -> np.ndarray: ...

    @abstractmethod
    def _free(self) -> None: ...


def open_device_memory(number: int = 0) -> DeviceMemory:
    """An empty DeviceMemory on a GPU, counted from 0; EngineError with the fix where there is
    none."""
    try:
        return PycudaMemory(number)
    except ModuleNotFoundError:
        return CudaPythonMemory(number)


def _check_number(number: int, count: int) -> None:
    if number >= count:
        raise EngineError(
            f"There is no GPU {number}: {count} found, counted from 0. `nvidia-smi -L` lists them."
        )


class CudaPythonMemory(DeviceMemory):
    """Through ``cuda.bindings`` of cuda-python."""

    library = "cuda-python"

    def __init__(self, number: int = 0):
        super().__init__()
        self._cuda = cuda_bindings(NO_LIBRARY)
        self._allocations: list[int] = []
        self._host_allocations: list[int] = []
        try:
            checked(self._cuda.cuInit(0), "start")
        except RuntimeError as error:
            # EngineError is a RuntimeError too: an installed driver that has no GPU to offer.
            raise error if isinstance(error, EngineError) else NoDriver() from error
        if number:
            _check_number(number, int(self._call("cuDeviceGetCount")))
        self._device = self._call("cuDeviceGet", number)
        self.gpu = self._describe()
        self._context = self._call("cuDevicePrimaryCtxRetain", self._device)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self._cuda.cuDevicePrimaryCtxRelease, self._device)
            self._call("cuCtxPushCurrent", self._context)
            on_failure.callback(self._cuda.cuCtxPopCurrent)
            self._stream = self._call("cuStreamCreate", _NON_BLOCKING)
            on_failure.pop_all()
        self.stream = int(self._stream)

    def _describe(self) -> Gpu:
        attributes = self._cuda.CUdevice_attribute
        name = self._call("cuDeviceGetName", 256, self._device)
        capability = (
            self._call("cuDeviceGetAttribute", attribute, self._device)
            for attribute in (
                attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        return Gpu(name.rstrip(b"\0 ").decode(), ".".join(map(str, capability)))

    def _call(self, function: str, *arguments):
        return checked(getattr(self._cuda, function)(*arguments), function)

    def upload(self, name: str, nbytes: int) -> None:
        host = self._hosts[name].ctypes.data
        self._call("cuMemcpyHtoDAsync", self._addresses[name], host, nbytes, self._stream)

    def download(self, name: str, nbytes: int) -> None:
        host = self._hosts[name].ctypes.data
        self._call("cuMemcpyDtoHAsync", host, self._addresses[name], nbytes, self._stream)

    def synchronize(self) -> None:
        self._call("cuStreamSynchronize", self._stream)

    def _allocate(self, nbytes: int) -> int:
        self._allocations.append(int(self._call("cuMemAlloc", nbytes)))
        return self._allocations[-1]

    def _allocate_host(self, nbytes: int) -> np.ndarray:
        address = int(self._call("cuMemHostAlloc", nbytes, 0))
        self._host_allocations.append(address)
        return np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(address))

    def _free(self) -> None:
        if self._context is None:
            return
        # Results are not checked: after a failure, all that can still be freed is freed.
        self._cuda.cuStreamSynchronize(self._stream)
        while self._allocations:
            self._cuda.cuMemFree(self._allocations.pop())
        while self._host_allocations:
            self._cuda.cuMemFreeHost(self._host_allocations.pop())
        self._cuda.cuStreamDestroy(self._stream)
        # A released context that stays current would be what this thread's next call runs into.
        self._cuda.cuCtxPopCurrent()
        self._cuda.cuDevicePrimaryCtxRelease(self._device)
        self._context = None


class PycudaMemory(DeviceMemory):
    """Through ``pycuda``, without its autoinit, which would make a second context."""

    library = "pycuda"

    def __init__(self, number: int = 0):
        super().__init__()
        try:
            import pycuda.driver as cuda
        except ModuleNotFoundError:
            raise
        except ImportError as error:
            # pycuda links against the driver's library.
            raise NoDriver() from error
        self._cuda = cuda
        self._allocations: list = []
        self._guarded(cuda.init)
        if number:
            _check_number(number, self._guarded(cuda.Device.count))
        device = self._guarded(cuda.Device, number)
        capability = ".".join(map(str, device.compute_capability()))
        self.gpu = Gpu(device.name(), capability)
        self._context = self._guarded(device.retain_primary_context)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self._context.detach)
            self._guarded(self._context.push)
            on_failure.callback(self._context.pop)
            self._stream = self._guarded(cuda.Stream, _NON_BLOCKING)
            on_failure.pop_all()
        self.stream = int(self._stream.handle)

    def _guarded(self, function: Callable, *arguments):
        try:
            return function(*arguments)
        except self._cuda.MemoryError as error:
            raise EngineError(NO_MEMORY) from error
        except self._cuda.Error as error:
            raise EngineError(f"CUDA failed ({error}): {CHECK_DRIVER}") from error

    def upload(self, name: str, nbytes: int) -> None:
        host = self._hosts[name][:nbytes]
        self._guarded(self._cuda.memcpy_htod_async, self._addresses[name], host, self._stream)

    def download(self, name: str, nbytes: int) -> None:
        host = self._hosts[name][:nbytes]
        self._guarded(self._cuda.memcpy_dtoh_async, host, self._addresses[name], self._stream)

    def synchronize(self) -> None:
        self._guarded(self._stream.synchronize)

    def _allocate(self, nbytes: int) -> int:
        self._allocations.append(self._guarded(self._cuda.mem_alloc, nbytes))
        return int(self._allocations[-1])

    def _allocate_host(self, nbytes: int) -> np.ndarray:
        host = self._guarded(self._cuda.pagelocked_empty, nbytes, np.uint8)
        self._allocations.append(host.base)
        return host

    def _free(self) -> None:
        if self._context is None:
            return
        # After a failure, all that can still be freed is freed.
        context, self._context = self._context, None
        frees = [buffer.free for buffer in reversed(self._allocations)]
        for free in (self._stream.synchronize, *frees, context.pop, context.detach):
            with contextlib.suppress(self._cuda.Error):
                free()
        self._allocations.clear()
        self._stream = None
