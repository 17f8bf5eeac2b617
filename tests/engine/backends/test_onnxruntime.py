import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from engine import processors, registry
from engine.backends import onnxruntime as onnxruntime_backend
from engine.backends.onnxruntime import load
from engine.contract import EngineError, Options
from engine.session import open_session
from tests.engine.conftest import doubling_model


def test_computes_in_the_precision_of_the_graph(model_file, int8_files):
    for path, precision in ((model_file, "fp32"), (int8_files / "face.int8.onnx", "int8")):
        backend = load(registry.read(path), Options("cpu", precision))
        assert backend.precision == precision
        assert f"CPUExecutionProvider, {precision}" in backend.description


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_refuses_any_other(model_file, precision):
    with pytest.raises(EngineError, match=f"in fp32, as it is written, not in {precision}: use"):
        load(registry.read(model_file), Options("cpu", precision))


def test_says_how_many_threads(model_file):
    said = {None: "one thread per core", 1: "1 thread", 2: "2 threads"}
    for threads, text in said.items():
        backend = load(registry.read(model_file), Options("cpu", "fp32", threads))
        assert backend.description.endswith(f", {text}")


def test_half_precision_inputs_and_outputs(tmp_path):
    onnx.save(doubling_model(TensorProto.FLOAT16), tmp_path / "half.onnx")
    backend = load(registry.read(tmp_path / "half.onnx"), Options("cpu", "fp16"))
    (doubled,) = backend.run({"values": np.ones((1, 3), np.float16)}).values()
    assert doubled.dtype == np.float16 and (doubled == 2).all()


class Overlapping:
    """Stands in for onnxruntime.InferenceSession: of two threads that open a session at once, the
    first to come is the first to leave."""

    def __init__(self, make):
        self.make = make
        self.lock = threading.Lock()
        self.both_inside, self.first_left = threading.Event(), threading.Event()
        self.inside = 0

    def __call__(self, *arguments, **options):
        with self.lock:
            self.inside += 1
            first = self.inside == 1
            if self.inside == 2:
                self.both_inside.set()
        assert self.both_inside.wait(10)
        if not first:
            assert self.first_left.wait(10)
        return self.make(*arguments, **options)


def test_opening_in_two_threads_leaves_stdout_as_it_was(model_file, monkeypatch, capsys):
    overlapping = Overlapping(onnxruntime.InferenceSession)
    monkeypatch.setattr(onnxruntime, "InferenceSession", overlapping)
    model = registry.read(model_file)

    def open_one():
        load(model, Options("cpu", "fp32"))
        overlapping.first_left.set()

    before = sys.stdout
    threads = [threading.Thread(target=open_one) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        assert overlapping.both_inside.wait(10)
        print("printed meanwhile")
        for thread in threads:
            thread.join(20)
        assert sys.stdout is before
    finally:
        sys.stdout = before
    print("printed afterwards")
    assert capsys.readouterr().out == "printed meanwhile\nprinted afterwards\n"


def test_many_threads_open_and_print(model_file, capsys):
    def open_and_print(number):
        for _ in range(5):
            with open_session(model_file, "onnxruntime", "cpu", "fp32"):
                print(f"thread {number}")

    before = sys.stdout
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(open_and_print, range(16)))
    assert sys.stdout is before
    assert sorted(capsys.readouterr().out.split("\n")) == sorted(
        [f"thread {number}" for number in range(16) for _ in range(5)] + [""]
    )


@pytest.fixture
def cuda(monkeypatch):
    """An ONNX Runtime with a CUDA provider, which starts as `cuda.start` says; `cuda.asked` is
    what sessions were asked for."""
    make = onnxruntime.InferenceSession

    def session(content, options, providers, **more):
        cuda.asked = providers
        cuda.start()
        return make(content, options, providers=[onnxruntime_backend.CPU_PROVIDER], **more)

    cuda = SimpleNamespace(asked=None, start=lambda: None)
    available = [onnxruntime_backend.CUDA_PROVIDER, onnxruntime_backend.CPU_PROVIDER]
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    return cuda


def test_cuda_computes_in_fp32_and_measures_no_shapes(model_file, cuda):
    with pytest.raises(EngineError, match="could not start its CUDA provider"):
        load(registry.read(model_file), Options("cuda", "fp32"))
    (name, options), cpu = cuda.asked
    assert (name, cpu) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert options == {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}


def test_the_second_gpu_is_asked_for_and_named_where_it_does_not_start(model_file, cuda):
    with pytest.raises(EngineError, match=r"on GPU 1, but.*nvidia-smi -L` lists the GPUs"):
        load(registry.read(model_file), Options("cuda:1", "fp32"))
    (_, options), _ = cuda.asked
    assert options["device_id"] == "1"


@pytest.mark.parametrize("error", [RuntimeError, ValueError, ort_errors.EPFail])
def test_a_provider_that_does_not_start_is_no_broken_model(model_file, cuda, error, capfd):
    def fail():
        raise error("CUDA failure 35: CUDA driver version is insufficient")

    cuda.start = fail
    with pytest.raises(EngineError, match="could not start its CUDA provider: check the driver"):
        load(registry.read(model_file), Options("cuda", "fp32"))
    assert capfd.readouterr() == ("", "")


def test_a_broken_model_is_no_provider_that_does_not_start(model_file, cuda):
    def fail():
        b"sh\xff\xfee".decode()

    cuda.start = fail
    with pytest.raises(EngineError, match="cannot read it as an ONNX model"):
        load(registry.read(model_file), Options("cuda", "fp32"))


def test_looking_for_cuda_prints_nothing_and_keeps_stdout(model_file, cuda, monkeypatch, capsys):
    seen = []

    def preload_dlls(cuda=True, *, msvc=True):
        seen.append((sys.stdout, cuda, msvc))
        print("Failed to load libcublas.so")

    monkeypatch.setattr(onnxruntime, "preload_dlls", preload_dlls)
    with pytest.raises(EngineError, match="could not start"):
        load(registry.read(model_file), Options("cuda", "fp32"))
    assert seen == [(sys.stdout, True, True)]
    assert capsys.readouterr().out == ""


def test_no_run_falls_back_to_the_processor(model_file):
    backend = load(registry.read(model_file), Options("cpu", "fp32"))
    assert backend._session._enable_fallback is False


def test_no_more_threads_than_processors_it_may_use(model_file, monkeypatch):
    asked = []
    make = onnxruntime.InferenceSession

    def session(content, options, **more):
        asked.append(options.intra_op_num_threads)
        return make(content, options, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    for restricted, threads in ((None, None), (2, None), (2, 3)):
        monkeypatch.setattr(processors, "restricted", lambda restricted=restricted: restricted)
        load(registry.read(model_file), Options("cpu", "fp32", threads))
    assert asked == [0, 2, 3]
