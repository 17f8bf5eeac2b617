import json

import onnx
import pytest

from engine import registry
from engine.contract import EngineError
from engine.measure.reference import TorchReference
from tests.engine.face_models import face_model, random_faces


def test_pytorch_runs_aligned_faces_in_a_process_of_its_own(tmp_path):
    pytest.importorskip("torch", reason="the reference needs the train extra")
    model = face_model()
    networks = {"network": "resnet10-half", "pose_network": "resnet10-half"}
    onnx.helper.set_model_props(model, {"training": json.dumps(networks)})
    onnx.save(model, tmp_path / "face.onnx")
    with TorchReference(registry.read(tmp_path / "face.onnx")) as reference:
        assert "PyTorch" in reference.what
        for count in (1, 5):
            seconds, faces = reference.time(random_faces(count))
            assert faces == count and 0 < seconds < 10


def test_a_model_that_does_not_name_its_networks(tmp_path):
    onnx.save(face_model(), tmp_path / "face.onnx")
    with pytest.raises(EngineError, match="does not say which networks it holds.*leave out"):
        TorchReference(registry.read(tmp_path / "face.onnx"))
