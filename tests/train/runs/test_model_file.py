import shutil

import numpy as np
import pytest
import torch

from engine.session import open_session
from train.data.prepared import read_prepared
from train.errors import UserError
from train.export.face import export_run
from train.networks.face_model import FaceModel
from train.runs.checkpoint import load_state, save_state
from train.runs.initial import recognition_start, start_from
from train.runs.load import load_model

pytestmark = pytest.mark.usefixtures("unrounded")


def test_a_model_starts_as_what_the_file_was_made_from(exported, tiny_run, tiny_data):
    """Not its decision: the logits are those of the run."""
    data = read_prepared(tiny_data)
    faces = torch.from_numpy(np.array(data.faces[:32]))
    trained, config = load_model(tiny_run)
    networks = config["options"]["network"], config["options"]["pose_network"]
    torch.manual_seed(1)
    model = FaceModel(*networks, 8)
    start_from(exported.path, model, faces=faces)
    with torch.no_grad():
        expected, found = (each.eval()(faces) for each in (trained, model))
        torch.testing.assert_close(found.expression, expected.expression, atol=0.02, rtol=0.02)
        torch.testing.assert_close(found.pose, expected.pose, atol=0.05, rtol=0.02)
        assert expected.expression.std() > 0.5, "a network that says nothing proves nothing"
        # In training, with statistics of the batch, it says nearly the same at once.
        close = (model.train()(faces).expression - expected.expression).abs().mean()
    assert close < 0.3 * expected.expression.std()


def test_another_network_or_another_file_is_named(exported, tmp_path):
    with pytest.raises(UserError, match="its networks are others"):
        start_from(exported.path, FaceModel("resnet18-half", "resnet10-half", 8))
    broken = tmp_path / "broken.onnx"
    shutil.copy(__file__, broken)
    with pytest.raises(UserError, match="is not an ONNX file"):
        recognition_start(broken)


def test_what_the_file_started_from_is_kept(exported):
    assert recognition_start(exported.path) is None


@pytest.mark.slow
def test_export_takes_the_pose_branch_of_another_file(exported, tiny_run, tiny_data, tmp_path):
    """Of one whose pose branch was changed, so that the difference is seen."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    best = load_state(run / "best.safetensors")
    best["model"]["pose.angles.bias"] += 1
    save_state(run / "best.safetensors", best)
    faces = np.repeat(np.array(read_prepared(tiny_data).faces[:4]), 3, axis=3)
    found = {}
    for name, pose in (("own", None), ("taken", exported.path)):
        with open_session(export_run(run, tmp_path / f"{name}.onnx", pose=pose)) as session:
            found[name] = session.run({"faces": faces})
    with open_session(exported.path) as session:
        original = session.run({"faces": faces})
    np.testing.assert_allclose(found["taken"]["pose"], original["pose"], atol=0.02)
    assert np.abs(found["own"]["pose"] - original["pose"]).min() > 1
    np.testing.assert_allclose(found["taken"]["expression"], original["expression"], atol=5e-3)
