import pytest
import torch
from safetensors.torch import save_file

from train.networks.encoders import build_encoder
from train.networks.face_input import FaceInput
from train.networks.mobilenet import MEAN_BGR, MobileNet, open_normalisation, read_mobilenet


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    """A file as the published one: batch normalisation folded to a scale and a shift."""
    random = torch.Generator().manual_seed(0)
    tensors = {}
    for name, layer in MobileNet().named_layers():
        channels = layer.bn.num_features
        tensors[f"{name}.weight"] = layer.conv.weight.detach().clone()
        tensors[f"{name}.scale"] = torch.rand(channels, generator=random) + 0.5
        tensors[f"{name}.shift"] = torch.randn(channels, generator=random) / 4
    path = tmp_path_factory.mktemp("weights") / "mobilenet.safetensors"
    save_file(tensors, path)
    return path


def faces(count: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    coarse = torch.randint(0, 256, (count, 7, 7, 1), dtype=torch.uint8, generator=random)
    return coarse.repeat_interleave(16, dim=1).repeat_interleave(16, dim=2)


def pixels(count: int) -> torch.Tensor:
    return FaceInput(112, 1)(faces(count))


def test_a_stride_of_two_pads_nothing_before_and_one_after():
    layer = MobileNet(4).conv1.eval()
    layer.conv.weight.data.zero_()
    layer.conv.weight.data[:, :, 0, 0] = 1  # takes the pixel at the window's own corner
    picture = torch.arange(16.0).view(1, 1, 4, 4).expand(1, 3, 4, 4) / 48
    seen = layer(picture)
    assert torch.allclose(seen[0, 0], picture[0, 0, ::2, ::2] * 3, atol=1e-4)


def test_the_opened_network_does_what_the_folded_one_did(folded):
    network = read_mobilenet(folded)
    given = pixels(24).expand(-1, 3, -1, -1) * 255 - torch.tensor(MEAN_BGR).view(1, 3, 1, 1)
    with torch.no_grad():
        before = network(given[:8])
        open_normalisation(network, given)
        after = network(given[:8])
    assert before.abs().max() > 0.1, "a network that says nothing proves nothing"
    assert torch.allclose(after, before, atol=1e-4)


def test_the_opened_network_does_nearly_the_same_in_a_training_step(folded):
    """What opening is for: with statistics of 0 and 1 the first batch gives something else."""
    given = pixels(24).expand(-1, 3, -1, -1) * 255 - torch.tensor(MEAN_BGR).view(1, 3, 1, 1)
    network = read_mobilenet(folded)
    with torch.no_grad():
        expected = network(given)
        closed = (network.train()(given) - expected).abs().mean()
    network = read_mobilenet(folded)
    open_normalisation(network, given)
    with torch.no_grad():
        opened = (network.train()(given) - expected).abs().mean()
    assert opened < 1e-3 < closed


def test_another_file_is_told_in_one_line(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"some": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="other.safetensors is not this project's MobileNet"):
        read_mobilenet(path)


@pytest.mark.parametrize(
    ("name", "size", "numbers"),
    [("mobilenet", 112, 1024), ("mobilenet-160", 160, 1024), ("mobilenet-96", 96, 1024),
     ("mobilenet-half", 112, 512)],
)  # fmt: skip
def test_sizes_and_widths_by_name(name, size, numbers):
    encoder = build_encoder(name).eval()
    spec = encoder.spec
    given = FaceInput(spec.size, spec.channels, spec.detail, spec.window)(faces(2))
    assert given.shape == (2, spec.channels, size, size)
    with torch.no_grad():
        assert encoder(given).shape == (2, numbers)


def test_grey_and_colour_of_a_grey_face_are_the_same():
    grey, colour = build_encoder("mobilenet-sharp").eval(), build_encoder("mobilenet-colour").eval()
    colour.load_state_dict(grey.state_dict())
    given = pixels(2)
    with torch.no_grad():
        assert torch.equal(grey(given), colour(given.expand(-1, 3, -1, -1)))


def test_a_sharp_face_looks_like_a_coarse_one():
    random = torch.Generator().manual_seed(2)
    sharp = torch.randint(0, 256, (1, 112, 112, 1), dtype=torch.uint8, generator=random)
    means = torch.nn.functional.avg_pool2d(sharp.float().permute(0, 3, 1, 2), 2).round()
    blocks = means.repeat_interleave(2, 2).repeat_interleave(2, 3).permute(0, 2, 3, 1)
    look = FaceInput(112, 1, detail=56)
    assert torch.allclose(look(sharp), look(blocks.to(torch.uint8)), atol=1 / 255)
    assert not torch.allclose(FaceInput(112, 1)(sharp), look(sharp), atol=0.2)
