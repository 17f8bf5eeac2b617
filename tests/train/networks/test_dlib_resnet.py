import struct

import pytest
import torch

from train.networks.dlib_resnet import (
    DESCRIPTOR,
    FEATURES,
    MEAN_RGB,
    Block,
    DlibResNet,
    read_dlib_resnet,
)
from train.networks.encoders import build_encoder
from train.networks.face_input import FaceInput
from train.networks.mobilenet import open_normalisation


def integer(value: int) -> bytes:
    """As dlib writes it: how many bytes follow, then those, little-endian."""
    length = max(1, (value.bit_length() + 7) // 8)
    return bytes([length]) + value.to_bytes(length, "little")


def tensor(values: torch.Tensor, shape: tuple[int, ...]) -> bytes:
    numbers = struct.pack(f"<{values.numel()}f", *values.flatten().tolist())
    return b"\x01\x02" + b"".join(map(integer, shape)) + numbers


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A made-up network, what it says of some pixels, and its file, with other things between."""
    torch.manual_seed(0)
    network, parts = DlibResNet().eval(), [b"\x01\x01\x01\rloss_metric_2\x01\x02"]
    for conv, bn in network.pairs():
        bn.weight.data.uniform_(0.5, 1.5)
        bn.bias.data.normal_(std=0.2)
        filters = torch.cat([conv.weight.flatten(), conv.bias])
        scale = bn.weight / (1 + bn.eps) ** 0.5
        affine = torch.cat([scale, bn.bias])
        parts += [tensor(filters, (1, len(filters), 1, 1)), b"\x01\x02\x03", integer(9)]
        parts += [tensor(affine, (1, len(affine), 1, 1))]
    matrix = torch.randn(FEATURES, DESCRIPTOR)
    parts.append(tensor(matrix, (FEATURES, DESCRIPTOR, 1, 1)))
    path = tmp_path_factory.mktemp("weights") / "dlib.dat"
    path.write_bytes(b"".join(parts))
    return path, network, matrix


def pixels(count: int, side: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, side, side, generator=random) - 0.5


def test_the_file_is_read_whatever_stands_between_its_tensors(written):
    path, network, matrix = written
    found, found_matrix = read_dlib_resnet(path)
    with torch.no_grad():
        expected = network(pixels(2, 150))
        assert expected.abs().max() > 0.1, "a network that says nothing proves nothing"
        torch.testing.assert_close(found(pixels(2, 150)), expected, atol=1e-4, rtol=1e-4)
    assert torch.equal(found_matrix, matrix)


def test_a_file_that_ends_early_or_is_another_is_told_in_one_line(written, tmp_path):
    path = tmp_path / "short.dat"
    path.write_bytes(written[0].read_bytes()[:-4])
    with pytest.raises(ValueError, match="short.dat is not dlib's.*58 of its 59 tensors"):
        read_dlib_resnet(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="0 of its 59 tensors"):
        read_dlib_resnet(path)


def test_what_a_block_lacks_is_filled_up_with_zeros():
    """Of 7×7 maps the halving convolution makes 3×3, its shortcut 3×3; of 8×8 it makes 3×3 and the
    shortcut 4×4, of half the channels."""
    block = Block(2, 4, halves=True).eval()
    for parameter in block.parameters():
        parameter.data.zero_()
    given = torch.arange(128.0).view(1, 2, 8, 8)
    with torch.no_grad():
        made = block(given)
    assert made.shape == (1, 4, 4, 4)
    assert torch.equal(made[:, :2], torch.nn.functional.avg_pool2d(given, 2))
    assert not made[:, 2:].any()


def test_the_encoder_opened_does_what_it_did_folded(written):
    encoder = build_encoder("dlib-resnet").eval()
    encoder.layers.load_state_dict(read_dlib_resnet(written[0])[0].state_dict())
    faces = torch.randint(0, 256, (12, 112, 112, 1), dtype=torch.uint8)
    seen = FaceInput(112, 1, 56)(faces)
    with torch.no_grad():
        before = encoder(seen)
        colour = (seen.expand(-1, 3, -1, -1) * 255 - torch.tensor(MEAN_RGB).view(1, 3, 1, 1)) / 256
        torch.testing.assert_close(before, encoder.layers(colour).mean(dim=(2, 3)))
        open_normalisation(encoder, seen)
        torch.testing.assert_close(encoder(seen), before, atol=1e-4, rtol=1e-4)
    assert before.shape == (12, FEATURES)
