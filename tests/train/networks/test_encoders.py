import numpy as np
import pytest
import torch

from train.networks.encoders import ENCODERS, build_encoder
from train.networks.face_input import FaceInput
from train.networks.face_model import FaceModel
from train.pose import yaw_bin


@pytest.mark.parametrize("name", ENCODERS)
def test_shapes(name):
    encoder = build_encoder(name).eval()
    spec = encoder.spec
    faces = torch.randint(0, 256, (2, 112, 112, 3), dtype=torch.uint8)

    feature = encoder(FaceInput(spec.size, spec.channels)(faces))

    assert feature.shape == (2, encoder.feature_dim) and feature.isfinite().all()


def test_resnet18_has_the_parameters_of_resnet18():
    # 11.69 M with the classifier of 1000 classes; the 3×3 stem has 27 weights a channel, not 147.
    count = sum(parameter.numel() for parameter in build_encoder("resnet18").parameters())
    assert count == 11_689_512 - 513_000 - 64 * 147 + 64 * 27


def test_input_is_grey_halved_and_scaled():
    faces = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    grey = faces @ np.array([0.299, 0.587, 0.114])
    expected = grey.reshape(2, 56, 2, 56, 2).mean(axis=(2, 4)) / 255

    np.testing.assert_allclose(FaceInput(56, 1)(torch.from_numpy(faces))[:, 0], expected, atol=1e-5)


def test_grey_faces_look_the_same_stored_with_one_channel_or_three():
    grey = torch.randint(0, 256, (2, 112, 112, 1), dtype=torch.uint8)
    for size, channels in ((56, 1), (112, 3)):
        look = FaceInput(size, channels)
        np.testing.assert_allclose(look(grey), look(grey.expand(-1, -1, -1, 3)), atol=1e-5)


def test_yaw_classes():
    yaw = torch.tensor([0.0, -9.0, 12.0, -25.0, 35.0, -41.0, 80.0])
    assert yaw_bin(yaw).tolist() == [0, 0, 1, 2, 3, 4, 4]


def test_branches_share_no_weights():
    model = FaceModel("resnet10-half", "resnet10-half", 8)
    faces = torch.randint(0, 256, (2, 112, 112, 1), dtype=torch.uint8)
    model(faces).expression.sum().backward()

    assert all(parameter.grad is None for parameter in model.pose.parameters())
    assert all(parameter.grad is not None for parameter in model.expression.parameters())


def test_an_unknown_network_lists_the_known():
    with pytest.raises(ValueError, match="resnet18-half"):
        build_encoder("vgg")


def test_a_pose_network_smaller_than_the_expression_network_sees_the_same_face_reduced():
    model = FaceModel("resnet18", "resnet10-half", 8).eval()
    faces = torch.randint(0, 256, (2, 112, 112, 3), dtype=torch.uint8)

    seen = model.pose_pixels(model.expression_input(faces))

    np.testing.assert_allclose(seen, FaceInput(56, 1)(faces), atol=1e-5)
    assert model(faces).pose.shape == (2, 3)


def test_a_pose_network_of_colours_beside_a_grey_expression_network_sees_grey_in_all_of_them():
    model = FaceModel("inception", "resnet18", 8).eval()
    seen = model.pose_pixels(torch.rand(2, 1, 112, 112))
    assert seen.shape == (2, 3, 112, 112) and torch.equal(seen[:, 0], seen[:, 2])
    assert model(torch.zeros(1, 112, 112, 3, dtype=torch.uint8)).pose.shape == (1, 3)
