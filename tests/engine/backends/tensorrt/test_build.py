import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from engine import model_file, registry
from engine.backends.tensorrt import build, distributions, plan_layers, plans, progress
from engine.backends.tensorrt.device_memory import Gpu
from engine.contract import EngineError
from tests.engine.backends.tensorrt.fake_tensorrt import HALF_LAYER, FakeGpu, make_distribution
from tests.engine.conftest import doubling_model

SHIPPED = ("ipd_fer", "mtcnn_pnet", "mtcnn_rnet", "mtcnn_onet")
GPU = Gpu("NVIDIA RTX 4090", "8.9")

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def rtx():
    pytest.importorskip("tensorrt_rtx", reason="needs the tensorrt-rtx extra")
    return distributions.find(portable_only=True)


@pytest.fixture
def model(model_file):
    return registry.read(model_file)


def parsed(model: onnx.ModelProto) -> model_file.ModelFile:
    return model_file.parse(Path("model.onnx"), model.SerializeToString(), "ab12")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", SHIPPED)
def test_tensorrt_rtx_builds_every_model_in_what_was_asked_for(rtx, name, precision, capfd):
    model = registry.read(registry.find(name))
    plan = build.obtain(model, precision, rtx, None)
    assert capfd.readouterr() == ("", "")
    multiplying = {layer.precision for layer in plan.layers if layer.multiplies}
    assert multiplying == {precision}
    if name == "ipd_fer":
        # fp16 weights take half the room.
        assert len(plan.content) < len(model.content) * (1.2 if precision == "fp32" else 0.7)
        # TensorRT takes the uint8 pictures as they are and casts them itself.
        assert "uint8" in {layer.precision for layer in plan.layers}
    found = build.obtain(model, precision, rtx, GPU)
    assert found.cached and found.layers == plan.layers


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    """The face model with convolutions in INT8, as TensorRT wants it."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    source = registry.find("ipd_fer")
    path = tmp_path_factory.mktemp("int8") / "ipd_fer.trt-int8.onnx"
    pictures = np.random.default_rng(0).integers(0, 256, (1, 112, 112, 3), np.uint8)
    batches = iter([{"faces": pictures}])

    class Reader(quantization.CalibrationDataReader):
        def get_next(self):
            return next(batches, None)

    quantization.quantize_static(
        source,
        path,
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        per_channel=True,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "AddQDQPairToWeight": True,
        },
    )
    return registry.read(path)


def test_tensorrt_rtx_builds_int8_from_a_qdq_model(rtx, quantized):
    plan = build.obtain(quantized, "int8", rtx, None)
    counts = [layer for layer in plan.layers if layer.kind == "correlation"]
    assert {layer.precision for layer in counts} == {"int8"}
    assert plan_layers.precision_of(plan.layers) == "int8"
    fp32 = build.build_plan(registry.read(registry.find("ipd_fer")), "fp32", rtx)
    assert len(plan.content) < 0.6 * len(fp32.content)


def test_a_model_for_a_fixed_number_of_images(rtx):
    plan = build.build_plan(parsed(doubling_model(shape=(5, 3))), "fp32", rtx)
    assert plan.layers


def test_the_parser_says_in_one_line_what_it_rejects(rtx, capfd):
    graph = helper.make_graph(
        [helper.make_node("Det", ["x"], ["y"], name="determinant")],
        "det",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    opset = helper.make_opsetid("", 18)
    model = parsed(helper.make_model(graph, opset_imports=[opset], ir_version=9))
    with pytest.raises(EngineError) as raised:
        build.build_plan(model, "fp32", rtx)
    text = str(raised.value)
    assert "rejects the model at the node determinant (Det)" in text and "\n" not in text
    assert "--backend onnxruntime" in text
    assert capfd.readouterr() == ("", "")


def test_types_that_do_not_fit_are_told_by_the_parser(rtx):
    """A quantised bias, which ONNX Runtime makes by default and TensorRT does not take."""
    nodes = [
        helper.make_node("DequantizeLinear", ["bias", "scale", "zero"], ["b"], name="bias_dq"),
        helper.make_node("Add", ["x", "b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "bias",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [
            onnx.numpy_helper.from_array(np.array([1, 2, 3], np.int32), "bias"),
            onnx.numpy_helper.from_array(np.array(0.5, np.float32), "scale"),
            onnx.numpy_helper.from_array(np.array(0, np.int32), "zero"),
        ],
    )
    opset = helper.make_opsetid("", 18)
    model = parsed(helper.make_model(graph, opset_imports=[opset], ir_version=9))
    with pytest.raises(EngineError, match="at the node bias_dq .*Int32.*--flavour tensorrt"):
        build.build_plan(model, "int8", rtx)


def test_a_model_that_is_no_onnx(rtx, model):
    broken = model_file.ModelFile(
        Path("x.onnx"), b"junk", "00", model.inputs, model.outputs, {}, frozenset(), "fp32"
    )
    with pytest.raises(EngineError, match="rejects the model, saying: .*Failed to parse"):
        build.build_plan(broken, "fp32", rtx)


def test_profiles():
    face = registry.read(registry.find("ipd_fer"))
    picture = (112, 112, 3)
    assert build.profile_of(face.inputs) == {
        "faces": ((1, *picture), (4, *picture), (32, *picture))
    }
    pnet = registry.read(registry.find("mtcnn_pnet"))
    assert build.profile_of(pnet.inputs) == {
        "images": ((1, 12, 12, 3), (1, 160, 160, 3), (1, 1920, 1920, 3))
    }
    fixed = parsed(doubling_model(shape=(5, 3)))
    assert build.profile_of(fixed.inputs) == {"values": ((5, 3),) * 3}


def test_a_portable_plan_is_the_same_for_every_gpu(model):
    portable = make_distribution(FakeGpu(), portable=True)
    bound = make_distribution(FakeGpu())
    other = Gpu("NVIDIA RTX 3060", "8.6")
    assert build.key_of(model, "fp32", portable, GPU) == build.key_of(model, "fp32", portable, None)
    assert build.key_of(model, "fp32", bound, GPU) != build.key_of(model, "fp32", bound, other)
    assert build.key_of(model, "fp32", bound, GPU).gpu == "NVIDIA RTX 4090"


def test_fp32_is_built_without_tf32(model):
    gpu = FakeGpu()
    build.build_plan(model, "fp32", make_distribution(gpu))
    assert gpu.config.cleared == ["tf32"]
    assert gpu.config.profiling_verbosity == "detailed"


def test_a_plan_in_fp32_where_fp16_was_asked_for_is_an_error(model, cache):
    gpu = FakeGpu()
    with pytest.raises(EngineError, match="in fp32 although fp16 was asked for"):
        build.obtain(model, "fp16", make_distribution(gpu), GPU)
    assert list(cache.glob("*.plan")) == []
    gpu.layers = [HALF_LAYER]
    assert build.obtain(model, "fp16", make_distribution(gpu), GPU).layers[0].precision == "fp16"


@pytest.mark.parametrize(
    "message",
    [
        "[optimizer.cpp::run::1] Error Code 2: OutOfMemory (Requested size was 9 bytes.)",
        "[defaultAllocator.cpp::allocate::1] Error Code 1: Cuda Runtime (out of memory)",
    ],
)
def test_no_memory_left_to_build(model, cache, message):
    gpu = FakeGpu()
    gpu.build_error = message
    with pytest.raises(EngineError, match="not enough memory to build the plan .*close other"):
        build.obtain(model, "fp32", make_distribution(gpu), GPU)
    assert list(cache.glob("*.plan")) == []


def test_any_other_failure_of_the_build(model):
    gpu = FakeGpu()
    gpu.build_error = "Error Code 10: Internal Error (Could not find any implementation for x.)"
    with pytest.raises(EngineError, match="FakeRT 1.2.3 cannot build .*any implementation for x"):
        build.build_plan(model, "fp32", make_distribution(gpu))


def test_no_builder_without_a_driver(model):
    distribution = make_distribution(FakeGpu())

    def fail(log):
        log.log(1, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    distribution.trt.Builder = fail
    with pytest.raises(EngineError, match="cannot build here .*error: 35.*tensorrt-rtx"):
        build.build_plan(model, "fp32", distribution)


def test_a_build_can_be_stopped(model, cache):
    gpu, stop = FakeGpu(), threading.Event()
    stop.set()
    with pytest.raises(EngineError, match="The build was stopped"):
        build.obtain(model, "fp32", make_distribution(gpu), GPU, stop=stop)
    assert list(cache.glob("*.plan")) == []


def test_tensorrt_rtx_can_be_stopped(rtx):
    stop = threading.Event()
    stop.set()
    with pytest.raises(EngineError, match="The build was stopped"):
        build.build_plan(registry.read(registry.find("mtcnn_rnet")), "fp32", rtx, stop=stop)


def test_timings_are_kept_for_the_next_build(model, cache):
    gpu = FakeGpu()
    distribution = make_distribution(gpu)
    build.obtain(model, "fp32", distribution, GPU)
    (kept,) = cache.glob("timings-*")
    assert kept.read_bytes() == b"timings of build 1"
    build.obtain(model, "fp32", distribution, GPU, unusable=_sha256(cache))
    assert gpu.timings_read == b"timings of build 1"
    assert kept.read_bytes() == b"timings of build 2"


def test_damaged_timings_are_made_anew(model, cache):
    gpu = FakeGpu()
    cache.mkdir()
    kept = cache / "timings-1.2.3-NVIDIA-RTX-4090.cache"
    kept.write_bytes(b"junk")
    build.obtain(model, "fp32", make_distribution(gpu), GPU)
    assert gpu.timings_read == b"" and kept.read_bytes() == b"timings of build 1"


def test_timings_that_cannot_be_kept_are_said(model, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv(plans.FOLDER_VARIABLE, str(tmp_path / "file" / "cache"))
    plan = build.obtain(model, "fp32", make_distribution(FakeGpu()), GPU)
    assert plan.path is None
    said = caplog.messages
    assert len(said) == 2 and {"measures anew" in line for line in said} == {True, False}


def _sha256(cache: Path) -> str:
    (path,) = cache.glob("*.plan")
    return plans.Plan(path.read_bytes(), (), 0).sha256


def test_progress_is_told_without_a_terminal(model, monkeypatch, capsys, caplog):
    build.build_plan(model, "fp32", make_distribution(FakeGpu()))
    assert (
        capsys.readouterr().err == "" and not caplog.messages
    )  # Nothing of a build that is over at once.
    monkeypatch.setattr(progress, "LINE_EVERY", 0)
    build.build_plan(model, "fp32", make_distribution(FakeGpu()))
    title = "Building doubling in fp32"
    assert caplog.messages == [f"{title}: 1 of 2.", f"{title}: 2 of 2."]
    assert capsys.readouterr() == ("", "")
