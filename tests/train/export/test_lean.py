import numpy as np
import torch
from torch import nn

from train.export.lean import nearest_bfloat16, without_projections
from train.networks.face_model import FaceModel


def test_what_only_training_needs_of_the_encoders_is_folded_away():
    torch.manual_seed(0)
    model = FaceModel("resnet10-half", "resnet10-half", 8, feature_dim=512).eval()
    for bias in (layer.bias for layer in model.modules() if isinstance(layer, nn.Linear)):
        nn.init.normal_(bias)
    lean = without_projections(model).eval()

    faces = torch.randint(0, 255, (4, 112, 112, 1), dtype=torch.uint8)
    for ours, theirs in zip(vars(lean(faces)).values(), vars(model(faces)).values(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    plain = FaceModel("resnet10-half", "resnet10-half", 8)
    shapes = [{k: v.shape for k, v in each.state_dict().items()} for each in (lean, plain, model)]
    assert shapes[0] == shapes[1] != shapes[2]


def test_numbers_are_rounded_to_the_nearest_that_bfloat16_holds():
    step = 2.0**-7  # from 1 to 2
    values = np.array([1, 1 + 0.4 * step, 1 + 0.6 * step, 1 + 0.5 * step, 1 + 1.5 * step, -3e-9])
    expected = [1, 1, 1 + step, 1, 1 + 2 * step]
    rounded = nearest_bfloat16(values.astype(np.float32))
    assert rounded.dtype == np.float32 and rounded[:5].tolist() == expected
    assert abs(rounded[5] / -3e-9 - 1) <= 2.0**-8
