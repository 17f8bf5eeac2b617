"""Both libraries for GPU memory, with stand-ins for what needs a driver."""

import sys

import numpy as np
import pytest

from engine.backends.tensorrt import cuda_bindings, device_memory
from engine.backends.tensorrt.device_memory import CudaPythonMemory, NoDriver, PycudaMemory
from engine.contract import EngineError
from tests.engine.backends.tensorrt.conftest import Driver, Result

FLOAT = np.dtype(np.float32)


def round_trip(memory):
    """Sends numbers to the device, wipes the host's copy and fetches them back."""
    memory.reserve("x", 64)
    host = memory.host("x", FLOAT, (2, 3))
    host[:] = np.arange(6).reshape(2, 3)
    memory.upload("x", host.nbytes)
    host[:] = 0
    memory.download("x", host.nbytes)
    memory.synchronize()
    np.testing.assert_array_equal(host, np.arange(6).reshape(2, 3))


def test_cuda_python_where_pycuda_is_not_installed(driver):
    memory = device_memory.open_device_memory()
    assert isinstance(memory, CudaPythonMemory) and memory.library == "cuda-python"
    assert (memory.gpu.name, memory.gpu.compute_capability) == ("NVIDIA Test GPU", "8.9")
    assert memory.stream == 4242
    round_trip(memory)
    memory.close()


def test_pycuda_where_it_is_installed(pycuda):
    memory = device_memory.open_device_memory()
    assert isinstance(memory, PycudaMemory) and memory.library == "pycuda"
    assert (memory.gpu.name, memory.gpu.compute_capability) == ("NVIDIA Test GPU", "8.9")
    round_trip(memory)
    assert pycuda.log[:3] == ["init", "primary context", "push"]
    memory.close()
    memory.close()
    assert sorted(pycuda.log[-4:-2]) == ["free", "free host"]
    assert pycuda.log[-2:] == ["pop", "detach"]


def test_everything_is_freed_in_one_place(driver):
    memory = CudaPythonMemory()
    memory.reserve("x", 64)
    memory.reserve_device("scratch", 0)
    assert len(driver.blocks) == 3
    memory.close()
    memory.close()
    assert driver.blocks == {}
    assert driver.calls[-3:] == ["cuStreamDestroy", "cuCtxPopCurrent", "cuDevicePrimaryCtxRelease"]
    assert driver.calls.count("cuDevicePrimaryCtxRelease") == 1


def test_everything_is_freed_after_a_failure_too(driver):
    memory = CudaPythonMemory()
    memory.reserve("x", 64)
    driver.failing["cuStreamSynchronize"] = Result.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
    with pytest.raises(EngineError, match="cuStreamSynchronize: CUDA_ERROR_STREAM_CAPTURE"):
        memory.synchronize()
    memory.close()
    assert driver.blocks == {}


def test_the_context_is_released_where_there_is_no_stream(driver):
    driver.failing["cuStreamCreate"] = Result.CUDA_ERROR_OUT_OF_MEMORY
    with pytest.raises(EngineError, match="no memory left"):
        CudaPythonMemory()
    assert driver.calls[-1] == "cuDevicePrimaryCtxRelease"
    assert driver.contexts == []


def test_the_context_of_the_thread_is_its_own_again(driver):
    driver.contexts = [7]
    memory = CudaPythonMemory()
    assert driver.contexts == [7, 0]
    memory.close()
    assert driver.contexts == [7]


def test_pycuda_leaves_no_context_where_there_is_no_stream(pycuda):
    def fail(flags):
        raise pycuda.MemoryError("cuStreamCreate failed: out of memory")

    pycuda.Stream = fail
    with pytest.raises(EngineError, match="no memory left"):
        PycudaMemory()
    assert pycuda.log == ["init", "primary context", "push", "pop", "detach"]


@pytest.mark.parametrize("function", ["cuMemAlloc", "cuMemHostAlloc"])
def test_no_memory_left(driver, function):
    memory = CudaPythonMemory()
    driver.failing[function] = Result.CUDA_ERROR_OUT_OF_MEMORY
    with pytest.raises(EngineError, match="no memory left: close other programs"):
        memory.reserve("x", 64)
    memory.close()
    assert driver.blocks == {}


def test_no_memory_left_with_pycuda(pycuda):
    def fail(size):
        raise pycuda.MemoryError("cuMemAlloc failed: out of memory")

    memory = PycudaMemory()
    pycuda.mem_alloc = fail
    with pytest.raises(EngineError, match="no memory left"):
        memory.reserve("x", 64)
    memory.close()


def test_a_driver_without_a_gpu(driver, pycuda, monkeypatch):
    driver.failing["cuInit"] = Result.CUDA_ERROR_NO_DEVICE
    with pytest.raises(EngineError, match="CUDA_ERROR_NO_DEVICE.*nvidia-smi"):
        CudaPythonMemory()

    def fail():
        raise pycuda.Error("cuInit failed: no CUDA-capable device is detected")

    pycuda.init = fail
    with pytest.raises(EngineError, match="no CUDA-capable device.*nvidia-smi"):
        PycudaMemory()


def test_no_driver(driver, monkeypatch):
    def fail(flags):
        raise RuntimeError("Failed to dlopen libcuda.so.1")

    driver.cuInit = fail
    with pytest.raises(NoDriver, match="needs an NVIDIA driver; none was found"):
        CudaPythonMemory()


def test_no_library_for_memory(monkeypatch):
    for name in ("pycuda", "pycuda.driver", "cuda", "cuda.bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EngineError, match="neither is installed: `pip install cuda-bindings`"):
        device_memory.open_device_memory()


def test_a_graph_replays_its_work_with_new_numbers(driver):
    memory = CudaPythonMemory()
    memory.reserve("x", 16)
    memory.reserve("y", 16)
    x, y = memory.host("x", FLOAT, (4,)), memory.host("y", FLOAT, (4,))

    def enqueue():
        memory.upload("x", 16)
        # Both buffers are memory of the host here; the network would run in between.
        memory._addresses["y"] = memory._addresses["x"]
        memory.download("y", 16)

    x[:] = 1
    graph = memory.capture(enqueue)
    assert not y.any(), "capturing must not run anything"
    for number in (2, 3):
        x[:] = number
        graph.launch()
        assert (y == number).all()
    graph.close()
    memory.close()
    assert driver.calls.count("cuGraphDestroy") == driver.calls.count("cuGraphExecDestroy") == 1


def test_a_failed_capture_leaves_the_stream_usable(driver):
    memory = CudaPythonMemory()

    def fail():
        raise EngineError("cannot be enqueued")

    with pytest.raises(EngineError, match="cannot be enqueued"):
        memory.capture(fail)
    assert driver.recording is None and "cuGraphDestroy" in driver.calls
    driver.failing["cuStreamEndCapture"] = Result.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
    with pytest.raises(EngineError, match="cuStreamEndCapture: CUDA_ERROR_STREAM_CAPTURE_INVALID"):
        memory.capture(lambda: None)
    memory.close()


def test_graphs_need_cuda_python(pycuda, monkeypatch):
    memory = PycudaMemory()
    monkeypatch.setitem(sys.modules, "cuda", None)
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(EngineError, match="CUDA graphs need cuda-python"):
        memory.capture(lambda: None)
    memory.close()


def test_the_real_bindings_have_what_is_called(driver, monkeypatch):
    memory = CudaPythonMemory()
    round_trip(memory)
    graph = memory.capture(lambda: None)
    graph.launch()
    graph.close()
    memory.close()
    for name in ("cuda", "cuda.bindings", "cuda.bindings.driver"):
        monkeypatch.delitem(sys.modules, name)
    real = pytest.importorskip("cuda.bindings.driver", reason="needs the tensorrt-rtx extra")
    for name in driver.calls:
        assert callable(getattr(real, name))
    assert int(real.CUresult.CUDA_ERROR_OUT_OF_MEMORY) == cuda_bindings._OUT_OF_MEMORY
    assert int(real.CUstream_flags.CU_STREAM_NON_BLOCKING) == device_memory._NON_BLOCKING
    for attribute in vars(Driver.CUdevice_attribute):
        assert hasattr(real.CUdevice_attribute, attribute)
    for mode in vars(Driver.CUstreamCaptureMode):
        assert hasattr(real.CUstreamCaptureMode, mode)


def test_the_second_gpu_and_one_that_is_not_there(driver):
    memory = device_memory.open_device_memory(1)
    assert driver.calls.count("cuDeviceGet") == 1 and driver.gpu == 1
    memory.close()
    with pytest.raises(EngineError, match=r"no GPU 2: 2 found, counted from 0.*nvidia-smi -L"):
        device_memory.open_device_memory(2)


def test_the_second_gpu_through_pycuda(pycuda):
    device_memory.open_device_memory(1).close()
    assert pycuda.gpu == 1
    with pytest.raises(EngineError, match="no GPU 2: 2 found"):
        device_memory.open_device_memory(2)
