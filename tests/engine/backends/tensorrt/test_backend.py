import gc
import threading

import numpy as np
import onnx
import pytest

from engine import choice, registry
from engine.backends import tensorrt
from engine.backends.tensorrt import build, distributions, plans
from engine.contract import EngineError, Options
from engine.session import Session, open_session
from tests.engine.backends.tensorrt.fake_tensorrt import (
    FLOAT_LAYER,
    HALF_LAYER,
    FakeEngine,
    FakeGpu,
    FakeMemory,
    make_distribution,
)
from tests.engine.conftest import doubling_model


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    """A GPU and a TensorRT of Python in place of the real ones, with a cache of their own."""
    gpu = FakeGpu()
    monkeypatch.setenv(plans.FOLDER_VARIABLE, str(tmp_path / "cache"))
    open_fake = "engine.backends.tensorrt.backend.open_device_memory"
    monkeypatch.setattr(open_fake, lambda number: FakeMemory(gpu))
    monkeypatch.setattr(distributions, "find", lambda **_: make_distribution(gpu))
    return gpu


@pytest.fixture
def model(model_file):
    return registry.read(model_file)


def load(model, precision="fp32", may_build=True):
    return tensorrt.load(model, Options("cuda", precision, may_build=may_build))


def values(batch, start=0):
    return {"values": np.arange(start, start + 3 * batch, dtype=np.float32).reshape(batch, 3)}


def check(backend, batch, start=0):
    arrays = values(batch, start)
    outputs = backend.run(arrays)
    assert list(outputs) == ["doubled"]
    np.testing.assert_array_equal(outputs["doubled"], 2 * arrays["values"])


def test_runs_any_number_of_images(gpu, model):
    backend = load(model)
    for batch in (1, 4, 32, 2, 1):
        check(backend, batch)
    assert (backend.precision, backend.max_batch, backend.concurrent) == ("fp32", 32, False)
    assert backend.description == "FakeRT 1.2.3, Fake GPU, fake-cuda, CUDA graphs"
    backend.close()


def test_larger_batches_run_in_parts(gpu, model):
    with Session(model, load(model)) as session:
        check(session, 70)
    assert gpu.alive == []


def test_outputs_are_not_overwritten_by_later_runs(gpu, model):
    backend = load(model)
    first = backend.run(values(2))["doubled"]
    kept = first.copy()
    backend.run(values(2, start=50))
    np.testing.assert_array_equal(first, kept)
    backend.close()


def test_takes_arrays_that_are_not_contiguous(gpu, model):
    backend = load(model)
    flipped = values(4)["values"][::-1, ::-1]
    np.testing.assert_array_equal(backend.run({"values": flipped})["doubled"], 2 * flipped)
    backend.close()


def test_a_graph_for_each_of_a_few_numbers_of_images_made_when_it_opens(gpu, model):
    backend = load(model)
    # Opening measures the outputs in a context of its own and warms up 1, 2, 4, 8, 16 and 32.
    assert (gpu.contexts, gpu.captures, gpu.launches) == (7, 6, 6)
    for _ in range(2):
        for batch in range(1, 33):
            check(backend, batch, start=gpu.launches)
    assert (gpu.contexts, gpu.captures, gpu.launches) == (7, 6, 6 + 64)
    backend.close()


def test_what_fills_up_a_run_is_nothing_of_earlier_ones(gpu, model):
    backend = load(model)
    check(backend, 4, start=100)
    check(backend, 3)
    host = gpu.memory.host("values", np.dtype(np.float32), (4, 3))
    assert not host[3].any() and host[2].any()
    backend.close()


def test_runs_that_cannot_be_filled_up_are_run_as_they_are(gpu, tmp_path):
    several = doubling_model(shape=("batch", 3))
    several.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "rows"
    onnx.save(several, tmp_path / "rows.onnx")
    backend = load(registry.read(tmp_path / "rows.onnx"))
    for batch in (3, 5, 3):
        check(backend, batch)
    backend.close()


def test_buffers_are_made_once(gpu, model):
    backend = load(model)
    reserved = list(gpu.reserved)
    assert sorted(reserved) == ["(scratch)", "doubled", "values"]
    for batch in (1, 32, 7) * 3:
        check(backend, batch)
    assert gpu.reserved == reserved
    backend.close()


def test_one_thread_makes_uses_and_frees_everything(gpu, model):
    backend = load(model)
    callers = [threading.Thread(target=check, args=(backend, n, n)) for n in (1, 2, 3, 4) * 5]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    closer = threading.Thread(target=backend.close)
    closer.start()
    closer.join()
    assert gpu.alive == []
    assert len(gpu.threads) == 1 and threading.get_ident() not in gpu.threads


def test_concurrent_callers_get_their_own_outputs(gpu, model):
    backend = load(model)
    wrong = []

    def call(start):
        for _ in range(50):
            arrays = values(2, start)
            if not np.array_equal(backend.run(arrays)["doubled"], 2 * arrays["values"]):
                wrong.append(start)

    callers = [threading.Thread(target=call, args=(100 * n,)) for n in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    backend.close()
    assert wrong == []


def test_cannot_be_used_after_close(gpu, model):
    backend = load(model)
    backend.close()
    backend.close()
    with pytest.raises(EngineError, match="closed"):
        backend.run(values(1))


def test_a_forgotten_backend_is_freed_in_its_thread(gpu, model):
    backend = load(model)
    check(backend, 2)
    del backend
    gc.collect()
    assert gpu.alive == []
    assert len(gpu.threads) == 1


def test_runs_without_graphs_where_capture_fails_and_says_so(gpu, model, caplog):
    gpu.capture_error = "CUDA failed (cuStreamEndCapture): check the driver"
    backend = load(model)
    for batch in (1, 2, 2, 2):
        check(backend, batch)
    assert "no CUDA graph: CUDA failed (cuStreamEndCapture)" in backend.description
    (said,) = caplog.messages
    assert "runs without CUDA graphs" in said
    assert gpu.launches == 0
    backend.close()


def test_runs_without_graphs_where_the_network_cannot_be_captured(gpu, model, monkeypatch):
    monkeypatch.setattr(FakeEngine, "capturable", False)
    backend = load(model)
    check(backend, 1)
    assert "TensorRT cannot capture this network" in backend.description
    backend.close()


def test_pictures_of_any_size_share_one_context_without_a_graph(gpu, tmp_path):
    onnx.save(doubling_model(shape=("batch", "height", "width", 3)), tmp_path / "any.onnx")
    backend = load(registry.read(tmp_path / "any.onnx"))
    assert backend.max_batch == 1
    contexts = gpu.contexts
    for height, width in ((20, 30), (40, 12), (20, 30), (20, 30)):
        array = np.full((1, height, width, 3), height, np.float32)
        np.testing.assert_array_equal(backend.run({"values": array})["doubled"], 2 * array)
    assert (gpu.contexts, gpu.captures) == (contexts, 0)
    assert "no CUDA graph: picture sizes vary" in backend.description
    assert "pictures over 1920 px in ONNX Runtime on the CPU" in backend.description
    with pytest.raises(EngineError, match="1×12×12×3 to 1×1920×1920×3, not 1×11×30×3"):
        backend.run({"values": np.zeros((1, 11, 30, 3), np.float32)})
    backend.close()


def test_pictures_larger_than_the_plan_run_in_onnx_runtime(gpu, tmp_path, caplog):
    onnx.save(doubling_model(shape=("batch", "height", "width", 3)), tmp_path / "any.onnx")
    backend = load(registry.read(tmp_path / "any.onnx"))
    executions = gpu.executions
    for shape in ((1, 1921, 12, 3), (1, 12, 8660, 3), (1, 1921, 12, 3)):
        array = np.random.default_rng(0).random(shape, np.float32)
        np.testing.assert_array_equal(backend.run({"values": array})["doubled"], 2 * array)
    assert gpu.executions == executions
    (said,) = caplog.messages
    assert said == (
        "any.onnx: pictures over 1920 pixels are larger than its TensorRT plan takes; ONNX Runtime "
        "runs those on the CPU."
    )
    backend.close()
    assert gpu.alive == []


def test_a_model_for_a_fixed_number_of_images(gpu, tmp_path):
    onnx.save(doubling_model(shape=(5, 3)), tmp_path / "five.onnx")
    backend = load(registry.read(tmp_path / "five.onnx"))
    assert backend.max_batch == 5
    check(backend, 5)
    backend.close()


def test_the_portable_distribution_compiles_before_it_is_captured(gpu, model, monkeypatch):
    monkeypatch.setattr(distributions, "find", lambda **_: make_distribution(gpu, portable=True))
    backend = load(model)
    config = backend._runner._config
    assert config.dynamic_shapes_kernel_specialization_strategy == "eager"
    assert config.cache == "runtime cache"
    del config
    check(backend, 1)
    backend.close()
    assert gpu.alive == []


def test_a_failing_launch_is_an_error_and_can_be_closed(gpu, model):
    backend = load(model)
    gpu.launch_error = "CUDA failed (cuGraphLaunch: CUDA_ERROR_ILLEGAL_ADDRESS): check the GPU"
    with pytest.raises(EngineError, match="CUDA_ERROR_ILLEGAL_ADDRESS.*: check the GPU"):
        backend.run(values(2))
    gpu.launch_error = ""
    check(backend, 2)
    backend.close()
    assert gpu.alive == []


def test_a_failing_run_is_an_error_and_can_be_closed(gpu, model):
    gpu.capture_error = "no graphs"
    backend = load(model)
    gpu.execute_error = "Error Code 1: Cuda Runtime (an illegal memory access)"
    with pytest.raises(EngineError, match="illegal memory access.*: open a new session"):
        backend.run(values(2))
    gpu.execute_error = ""
    check(backend, 2)
    backend.close()
    assert gpu.alive == []


def test_a_failing_open_leaves_nothing_behind(gpu, model):
    gpu.execute_error = "out of luck"
    with pytest.raises(EngineError, match="out of luck"):
        load(model)
    gc.collect()
    assert gpu.alive == []
    assert len(gpu.threads) == 1


def test_a_second_session_takes_the_cached_plan(gpu, model):
    for _ in range(2):
        load(model).close()
    assert gpu.builds == 1


def test_a_plan_of_another_precision_is_refused(gpu, model):
    gpu.layers = [FLOAT_LAYER]
    with pytest.raises(EngineError, match="in fp32 although fp16 was asked for"):
        load(model, "fp16")
    gpu.layers = [HALF_LAYER]
    backend = load(model, "fp16")
    assert backend.precision == "fp16"
    backend.close()


def test_a_cached_plan_that_does_not_load_is_built_again_once(gpu, model, caplog):
    load(model).close()
    gpu.load_error = "The engine plan file is not compatible with this version of TensorRT"
    gpu.loads_that_fail = 1
    backend = load(model)
    check(backend, 2)
    backend.close()
    assert gpu.builds == 2
    assert "not compatible with this version" in caplog.text


def test_a_portable_plan_on_a_gpu_outside_its_range(gpu, model, monkeypatch):
    monkeypatch.setattr(distributions, "find", lambda **_: make_distribution(gpu, portable=True))
    load(model).close()
    gpu.load_error = "Unsupported SM: 0x900"
    gpu.loads_that_fail = 9
    with pytest.raises(EngineError) as raised:
        load(model)
    text = str(raised.value)
    assert "cannot load its plan on Fake GPU with compute capability 8.9" in text
    assert "Unsupported SM: 0x900" in text and "--backend onnxruntime" in text
    assert gpu.builds == 2


def test_a_driver_that_cannot_load_what_was_built(gpu, model):
    gpu.load_error = "CUDA driver version is insufficient for CUDA runtime version"
    gpu.loads_that_fail = 9
    with pytest.raises(EngineError, match="plan that it built .*insufficient.*update the NVIDIA"):
        load(model)
    assert gpu.alive == []


def test_nothing_is_built_where_the_caller_would_not_wait(gpu, model, model_file):
    missing = "no plan of doubling.onnx in fp32 for Fake GPU"
    with pytest.raises(EngineError, match=missing) as raised:
        load(model, may_build=False)
    assert f"python -m engine build --model {model_file} --precision fp32" in str(raised.value)
    assert gpu.builds == 0
    load(model).close()
    load(model, may_build=False).close()


def test_profile_is_part_of_the_key(gpu, model, monkeypatch):
    load(model).close()
    monkeypatch.setattr(build, "FACES", (1, 2, 8))
    backend = load(model)
    assert backend.max_batch == 8 and gpu.builds == 2
    backend.close()


@pytest.fixture
def any_size(gpu, tmp_path, monkeypatch):
    """A model like P-Net, whose plan takes one picture of any size at a time, beside the fake
    TensorRT as if that were installed."""
    monkeypatch.setattr(choice, "find_spec", lambda name: name in ("tensorrt", "onnxruntime"))
    gpu.layers = [HALF_LAYER]
    path = tmp_path / "any.onnx"
    onnx.save(doubling_model(shape=("batch", "height", "width", 3)), path)
    return path


def test_auto_takes_tensorrt_once_there_is_a_plan(gpu, any_size):
    with open_session(any_size) as session:
        assert "not TensorRT fp16: There is no plan of any.onnx in fp16" in session.description
    assert gpu.builds == 0
    load(registry.read(any_size), "fp16").close()
    with open_session(any_size) as session:
        assert session.description.startswith("FakeRT 1.2.3, Fake GPU")
        assert "self-check within" in session.description
        assert session.precision == "fp16"
    assert gpu.alive == []


def test_auto_leaves_tensorrt_where_its_self_check_fails(gpu, any_size):
    load(registry.read(any_size), "fp16").close()
    gpu.factor = 2.1
    with open_session(any_size) as session:
        assert "not TensorRT fp16: failed its self-check" in session.description
    assert gpu.alive == []


def test_a_named_backend_may_build(gpu, any_size):
    with open_session(any_size, backend="tensorrt") as session:
        assert session.description.startswith("FakeRT 1.2.3, Fake GPU")
        assert session.precision == "fp16"
    assert gpu.builds == 1
