"""TensorRT with the NVIDIA driver of this machine, or without one."""

import numpy as np
import pytest

from engine.backends.tensorrt import plans
from engine.backends.tensorrt.device_memory import NoDriver, open_device_memory
from engine.contract import EngineError
from engine.session import open_session


def has_driver() -> bool:
    try:
        open_device_memory().close()
    except EngineError:
        return False
    return True


@pytest.mark.skipif(has_driver(), reason="there is an NVIDIA driver")
def test_one_line_without_a_driver(capfd):
    pytest.importorskip("cuda.bindings", reason="needs the tensorrt-rtx extra")
    with pytest.raises(NoDriver):
        open_device_memory()
    pytest.importorskip("tensorrt_rtx", reason="needs the tensorrt-rtx extra")
    with pytest.raises(EngineError) as raised:
        open_session("ipd_fer", backend="tensorrt", precision="fp32")
    assert "TensorRT needs an NVIDIA driver; none was found. Install one" in str(raised.value)
    assert "use --backend onnxruntime" in str(raised.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not has_driver(), reason="there is no NVIDIA driver")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", ["ipd_fer", "mtcnn_pnet", "mtcnn_rnet", "mtcnn_onet"])
def test_agrees_with_onnx_runtime_on_a_gpu(name, precision, tmp_path, monkeypatch):
    monkeypatch.setenv(plans.FOLDER_VARIABLE, str(tmp_path))
    with (
        open_session(name, "onnxruntime", "cpu", "fp32") as reference,
        open_session(name, "tensorrt", "cuda", precision) as session,
    ):
        assert session.precision == precision
        random = np.random.default_rng(0)
        for batch in (1, 5, 40, 5, 5):
            arrays = {
                info.name: random.integers(0, 256, _sized(info.shape, batch)).astype(info.dtype)
                for info in session.inputs
            }
            outputs, wanted = session.run(arrays), reference.run(arrays)
            for output in wanted:
                tolerance = 1e-4 if precision == "fp32" else 0.02
                scale = max(1.0, np.abs(wanted[output]).max())
                assert np.abs(outputs[output] - wanted[output]).max() / scale < tolerance


def _sized(shape, batch):
    return (batch, *(size if isinstance(size, int) else 120 for size in shape[1:]))
