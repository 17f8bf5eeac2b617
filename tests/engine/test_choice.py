import onnx
import pytest

from engine import choice, registry
from engine.choice import REFERENCE, Choice, choices, every_choice, left_out_lines, load
from engine.contract import EngineError, NotInstalled
from tests.engine.face_models import face_model


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "face.onnx"
    onnx.save(face_model(), path)
    return registry.read(path)


def with_int8(model):
    model.path.with_name("face.int8.onnx").write_bytes(b"any file will do to be tried")
    return model


def names(ways):
    """Of the backends that these tests are about; others may join them."""
    known = ("tensorrt", "openvino", "onnxruntime")
    return [str(way) for way in ways if way.backend in known]


def test_auto_goes_from_fast_to_safe(model):
    fp32 = ["TensorRT fp16", "TensorRT fp32", "ONNX Runtime with CUDA fp32"]
    assert names(choices(model)) == [*fp32, "ONNX Runtime fp32", "OpenVINO fp32"]
    assert names(choices(with_int8(model), device="cpu")) == [
        "OpenVINO int8",
        "ONNX Runtime int8",
        "ONNX Runtime fp32",
        "OpenVINO fp32",
    ]


def test_what_is_asked_for_is_all_there_is(model):
    assert choices(model, "openvino", "cpu", "bf16") == [Choice("openvino", "cpu", "bf16")]
    assert names(choices(model, precision="bf16")) == ["OpenVINO bf16"]
    assert names(choices(with_int8(model), "onnxruntime", "cpu", "int8")) == ["ONNX Runtime int8"]


def test_a_half_precision_file_is_run_as_it_is_written(tmp_path):
    half = face_model()
    half.graph.initializer.append(
        onnx.helper.make_tensor("unused", onnx.TensorProto.FLOAT16, [1], [0.0])
    )
    onnx.save(half, tmp_path / "half.onnx")
    model = registry.read(tmp_path / "half.onnx")
    assert {way.precision for way in choices(model)} == {"fp16"}
    with pytest.raises(EngineError, match="half.onnx is written in fp16 .*: use --precision fp16"):
        choices(model, precision="fp32")


def test_a_gpu_of_several_goes_with_every_way_on_it(model):
    ways = choices(model, device="cuda:1")
    assert {way.device for way in ways} == {"cuda:1"}
    assert names(ways) == ["TensorRT fp16", "TensorRT fp32", "ONNX Runtime with CUDA fp32"]
    assert choices(model, device="cuda:0") == choices(model, device="cuda")
    assert choices(model, "onnxruntime", "cuda:3", "fp32") == [
        Choice("onnxruntime", "cuda:3", "fp32")
    ]
    assert {way.device for way in every_choice(model, device="cuda:1")} == {"cuda:1"}
    for device in ("0", "0,1", "cuda:", "cuda:x", "cpu:1", "auto:1", "mps"):
        with pytest.raises(EngineError, match=f"no device {device}. .*cuda:1 is the second"):
            choices(model, device=device)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "magic"}, "no backend magic. Backends: auto, tensorrt, openvino, onnxruntime"),
        ({"device": "tpu"}, "no device tpu. Devices: auto, cpu, cuda"),
        ({"precision": "int4"}, "no precision int4. Precisions: auto, fp32, fp16, bf16, int8"),
        ({"backend": "openvino", "device": "cuda"}, "does not run on cuda: use --device cpu, or"),
        ({"backend": "tensorrt", "device": "cpu"}, "does not run on cpu: use --device cuda, or"),
        (
            {"backend": "onnxruntime", "precision": "bf16"},
            "computes face.onnx in fp32, not in bf16: use --precision fp32, or --backend openvino",
        ),
        (
            {"precision": "int8"},
            "face.int8.onnx, the INT8 flavour of face.onnx, is not there: make it with `python -m",
        ),
        ({"backend": "tensorrt", "precision": "int8"}, "face.trt-int8.onnx, the INT8 flavour of"),
    ],
)
def test_options_that_leave_nothing(model, options, message):
    for function in (choices, every_choice):
        with pytest.raises(EngineError) as raised:
            function(model, **options)
        assert message in str(raised.value)


def test_every_choice_has_the_reference_first(model):
    ways = every_choice(with_int8(model), device="cpu")
    assert ways[0] == REFERENCE
    assert set(names(ways)) == {
        "ONNX Runtime fp32",
        "ONNX Runtime int8",
        "OpenVINO fp32",
        "OpenVINO fp16",
        "OpenVINO bf16",
        "OpenVINO int8",
    }
    assert names(every_choice(model, backend="openvino", precision="bf16")) == ["OpenVINO bf16"]


def test_a_library_that_is_not_there_is_named_with_its_command(model, monkeypatch):
    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    with pytest.raises(NotInstalled, match="OpenVINO is not installed: install it with `pip"):
        load(model, Choice("openvino", "cpu", "fp32"))


def test_an_int8_flavour_of_another_version_is_refused(model):
    path = model.path.with_name("face.int8.onnx")
    quantized = face_model()
    quantized.graph.node[0].op_type = "DequantizeLinear"
    onnx.helper.set_model_props(quantized, {registry.QUANTIZED_FROM: "another"})
    path.write_bytes(quantized.SerializeToString())
    with pytest.raises(EngineError, match="face.int8.onnx.* was made from another version of face"):
        load(model, Choice("onnxruntime", "cpu", "int8"))
    path.write_bytes(face_model().SerializeToString())
    with pytest.raises(EngineError, match="face.int8.onnx.* holds no INT8 layers: make it with"):
        load(model, Choice("onnxruntime", "cpu", "int8"))


def test_what_is_left_out_is_told_once_for_each_reason():
    ways = [Choice("openvino", "cpu", how) for how in ("fp32", "bf16", "fp16")]
    reasons = ["no library.", "no library.", "no instructions."]
    assert left_out_lines(dict(zip(ways, map(EngineError, reasons), strict=True))) == [
        "left out: OpenVINO fp32, OpenVINO bf16: no library.",
        "left out: OpenVINO fp16: no instructions.",
    ]
