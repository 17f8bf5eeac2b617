import os
import zipfile

import cv2
import numpy as np
import pytest
import torch
from torch import nn

import train.data.once
import train.networks.identity
from realtime.align import align, similarity_transform
from train.data.identity import identity_features
from train.data.prepared import read_prepared
from train.errors import UserError
from train.export.mtcnn import import_facenet_pytorch
from train.networks.identity import Identity, load_identity
from train.networks.mobilefacenet import MobileFaceNet


class Means(nn.Module):
    """A stand-in recognition network: the mean of each channel, 512 numbers a face."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 512))

    def forward(self, pixels):
        return pixels.mean(dim=(1, 2, 3))[:, None] * self.weight


def busy_mobilefacenet() -> MobileFaceNet:
    """Fresh weights, and statistics and slopes that are not those of a fresh network."""
    torch.manual_seed(0)
    network = MobileFaceNet()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, -0.2, 0.6)
    return network.eval()


def test_pixels_are_normalised_cropped_and_enlarged_as_the_network_wants_them():
    seen = []
    network = Means()
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    identity = Identity(network, side=112, margin=8)
    grey = torch.rand(2, 1, 112, 112)

    identity(grey)
    identity(torch.full((1, 1, 56, 56), 0.25))

    assert seen[0].shape == (2, 3, 112, 96)
    expected = (grey[:, 0, :, 8:104] * 255 - 127.5) / 128
    for channel in range(3):
        torch.testing.assert_close(seen[0][:, channel], expected)
    assert seen[1].shape == (1, 3, 112, 96)
    torch.testing.assert_close(seen[1], torch.full((1, 3, 112, 96), (63.75 - 127.5) / 128))


def test_folding_changes_neither_features_nor_gradients():
    pixels = torch.rand(2, 3, 112, 112, requires_grad=True)
    network = busy_mobilefacenet()
    normalised = (pixels[:, :, :, 8:-8] * 255 - 127.5) / 128
    expected = network(normalised)
    (slope,) = torch.autograd.grad((expected**2).sum(), pixels)

    features = Identity(network, side=112, margin=8)(pixels)
    (folded_slope,) = torch.autograd.grad((features**2).sum(), pixels)

    assert features.shape == (2, 512)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-3)
    difference = (folded_slope - slope).norm() / slope.norm()
    assert difference < 1e-3


def test_it_stays_frozen():
    identity = Identity(busy_mobilefacenet(), side=112, margin=8)
    before = {name: tensor.clone() for name, tensor in identity.state_dict().items()}
    identity.train()
    pixels = torch.rand(2, 1, 56, 56, requires_grad=True)
    identity(pixels).sum().backward()

    assert pixels.grad.abs().sum() > 0, "L_id must reach the decoder"
    assert not any(parameter.requires_grad for parameter in identity.parameters())
    assert not identity.training
    for name, tensor in identity.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_state_dict_is_loaded_strictly(tmp_path):
    path = tmp_path / "network.pt"
    state = busy_mobilefacenet().state_dict()
    torch.save(state, path)
    first = load_identity(str(path))
    assert first.fingerprint == load_identity(str(path)).fingerprint

    torch.save(state | {"conv1.conv.weight": state["conv1.conv.weight"] + 1}, path)
    assert load_identity(str(path)).fingerprint != first.fingerprint

    del state["linear7.bn.bias"]
    torch.save(state, path)
    with pytest.raises(UserError, match="is not a MobileFaceNet state dict"):
        load_identity(str(path))


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x02cos\nsystem\n."])
def test_a_file_that_holds_no_weights_is_one_clear_line(tmp_path, content):
    path = tmp_path / "network.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a MobileFaceNet") as error:
        load_identity(str(path))
    assert "\n" not in str(error.value)


def test_no_file_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match="no such file.*facenet-casia or facenet-vggface2"):
        load_identity(str(tmp_path / "nowhere.pt"))


def test_facenets_features_are_as_large_as_the_others(monkeypatch):
    network = import_facenet_pytorch().InceptionResnetV1(pretrained=None)
    monkeypatch.setattr(train.networks.identity, "load_facenet", lambda spec: network)
    features = load_identity("facenet-vggface2")(torch.rand(1, 1, 56, 56))

    assert features.shape == (1, 512)
    torch.testing.assert_close(features.pow(2).mean(), torch.tensor(1.0), atol=1e-3, rtol=0)


@pytest.fixture
def counted(monkeypatch):
    """Counts the faces that go through E_id."""
    faces = []
    forward = Identity.forward
    monkeypatch.setattr(
        Identity, "forward", lambda self, pixels: faces.append(len(pixels)) or forward(self, pixels)
    )
    return faces


def test_features_are_computed_once_and_again_only_when_they_must(tiny_copy, counted):
    data, device = read_prepared(tiny_copy), torch.device("cpu")
    identity = Identity(Means(), side=112, margin=8)
    path = tiny_copy / f"identity-{identity.fingerprint[:12]}.npy"

    features = identity_features(identity, data, tiny_copy, device)
    assert sum(counted) == len(data) and isinstance(features, np.memmap)
    again = identity_features(identity, data, tiny_copy, device)
    assert sum(counted) == len(data) and np.array_equal(features, again)
    one = data.faces[3, :, 8:104, 0].astype(np.float64)
    np.testing.assert_allclose(features[3, -1], ((one - 127.5) / 128).mean(), atol=1e-4)

    path.unlink()  # not overwritten: `features` still maps it
    np.save(path, features[:5])
    identity_features(identity, data, tiny_copy, device)
    assert sum(counted) == 2 * len(data), "a file of another length is made again"

    os.utime(path, (1, 1))
    identity_features(identity, data, tiny_copy, device)
    assert sum(counted) == 3 * len(data), "so is one that is older than the faces"

    other = Means()
    nn.init.ones_(other.weight)
    identity_features(Identity(other, side=112, margin=8), data, tiny_copy, device)
    assert sum(counted) == 4 * len(data), "another network has a file of its own"
    assert path.exists() and len(list(tiny_copy.glob("identity-*.npy"))) == 2


def test_a_broken_computation_leaves_no_file(tiny_copy, monkeypatch):
    monkeypatch.setitem(train.data.once.BATCH, "cpu", 50)
    calls = iter(range(9))

    def breaks(self, pixels):
        if next(calls):
            raise KeyboardInterrupt
        return torch.zeros(len(pixels), 512)

    monkeypatch.setattr(Identity, "forward", breaks)
    with pytest.raises(KeyboardInterrupt):
        identity = Identity(Means(), side=112, margin=8)
        identity_features(identity, read_prepared(tiny_copy), tiny_copy, torch.device("cpu"))
    assert not list(tiny_copy.glob("identity-*.npy"))


@pytest.mark.slow
def test_the_real_file_knows_people(shared_data):
    """ORL: ten pictures of each of forty people. Frontal, so one average alignment will do."""
    identity = load_identity(str(shared_data / "identity" / "mobilefacenet_casia.pt"))
    points = np.array([[29.0, 48], [63, 48], [46, 67], [32, 84], [60, 84]])
    transform = similarity_transform(points)
    with zipfile.ZipFile(shared_data / "orl_faces" / "orl_faces.zip") as archive:
        names = [f"s{person}/{shot}.pgm" for person in range(1, 13) for shot in (1, 4, 7, 10)]
        pictures = [
            cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_GRAYSCALE)
            for name in names
        ]
    faces = np.stack([align(picture, transform) for picture in pictures])
    with torch.no_grad():
        features = identity(torch.from_numpy(faces)[:, None].float() / 255)
    unit = features / features.norm(dim=1, keepdim=True)
    similar = (unit @ unit.T).numpy()
    person = np.repeat(np.arange(12), 4)
    same = similar[(person[:, None] == person) & ~np.eye(len(person), dtype=bool)]
    different = similar[person[:, None] != person]

    assert np.median(same) > np.median(different) + 0.2
    np.fill_diagonal(similar, -1)
    nearest = person[similar.argmax(axis=1)]
    assert (nearest == person).mean() > 0.85, "the most similar picture shows the same person"
