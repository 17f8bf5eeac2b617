"""The networks against Tables I and II, and Figure 4."""

import pytest
import torch
from torch import nn

from train.errors import UserError
from train.networks.encoders import ENCODERS, build_encoder, halved
from train.networks.inception import InceptionBlock, InceptionLayers
from train.networks.tdgan import (
    Decoder,
    Embedding,
    FcLayers,
    Generator,
    TdganBranch,
    build_generator,
)


def shapes(layers: nn.Sequential, x: torch.Tensor) -> list[tuple[int, ...]]:
    """What each layer gives, without the faces: channels and sides, as the tables have them."""
    found = []
    with torch.no_grad():
        for layer in layers:
            x = layer(x)
            found.append(tuple(x.shape[1:]))
    return found


def test_table_1_down_sample_inception_down_sample():
    h = 32  # a quarter of the paper's 128, whose sixteenth is still whole
    assert shapes(InceptionLayers(3, 32), torch.rand(1, 3, h, h)) == [
        (32, h, h), (32, h // 2, h // 2), (64, h // 2, h // 2), (64, h // 4, h // 4),
        *[(64, h // 4, h // 4)] * 4,
        (128, h // 4, h // 4), (128, h // 8, h // 8), (128, h // 8, h // 8),
        (128, h // 16, h // 16),
    ]  # fmt: skip


def test_table_1_layers():
    layers = InceptionLayers(1, 32)
    blocks = [layers[index] for index in (0, 2, 8, 10)]
    for block, channels in zip(blocks, (32, 64, 128, 128), strict=True):
        convolution, norm, relu = block
        assert convolution.out_channels == channels and convolution.kernel_size == (5, 5)
        assert (convolution.stride, convolution.padding) == ((1, 1), (2, 2))
        assert isinstance(norm, nn.InstanceNorm2d) and isinstance(relu, nn.ReLU)
    pools = [layers[index] for index in (1, 3, 9, 11)]
    assert all((pool.kernel_size, pool.stride) == (3, 2) for pool in pools)
    kinds = {type(each) for each in layers.modules()}
    assert not kinds & {nn.BatchNorm2d}


def test_an_inception_block_looks_with_one_three_and_five_pixels_and_keeps_its_input():
    torch.manual_seed(0)
    block = InceptionBlock(64)
    depths = [len(branch) for branch in block.branches]
    assert depths == [1, 2, 3] and block.join.in_channels == 48
    x = torch.rand(2, 64, 9, 9)
    nn.init.zeros_(block.join.weight), nn.init.zeros_(block.join.bias)
    assert torch.equal(block(x), x)
    nn.init.constant_(block.join.bias, -100.0)
    assert not block(x).any(), "the sum has a ReLU"


@pytest.mark.parametrize(("size", "side"), [(112, 7), (56, 4)])
def test_the_encoders_of_both_sizes(size, side):
    name = {112: "inception", 56: "inception-56"}[size]
    encoder, pixels = build_encoder(name), torch.rand(1, 1, size, size)
    assert (ENCODERS[name].size, ENCODERS[name].channels) == (size, 1)
    maps = encoder.maps(pixels)
    assert maps.shape == (1, 128, side, side) and encoder.map_shape == (128, side)
    assert torch.equal(encoder(pixels), maps.flatten(1)) and encoder.feature_dim == 128 * side**2
    assert build_encoder(name, 10)(pixels).shape == (1, 10)


@pytest.mark.parametrize("name", ["resnet18", "resnet18-half", "resnet10-half"])
def test_the_maps_of_residual_networks(name):
    encoder = build_encoder(name).eval()
    spec = encoder.spec
    pixels = torch.rand(1, spec.channels, spec.size, spec.size)
    maps = encoder.maps(pixels)
    assert maps.shape[1:] == (encoder.map_shape[0], *[encoder.map_shape[1]] * 2)
    assert torch.equal(encoder(pixels), maps.mean(dim=(2, 3)))


def test_sides_are_rounded_up_when_halved():
    assert [halved(side, 4) for side in (128, 112, 56)] == [8, 7, 4]


def test_table_1_fc_layers_are_1024_1024_and_the_classes():
    layers = FcLayers(128 * 4 * 4, 21, dropout=0.3)
    linear = [each for each in layers if isinstance(each, nn.Linear)]
    assert [(each.in_features, each.out_features) for each in linear] == [
        (2048, 1024), (1024, 1024), (1024, 21)
    ]  # fmt: skip
    assert sum(isinstance(each, nn.ReLU) for each in layers) == 2 and layers.out_features == 21
    branch = TdganBranch(build_encoder("inception-56"), 21, 0.0)
    pixels = torch.rand(2, 1, 56, 56)
    feature, logits = branch.describe(pixels)
    assert feature.shape == (2, 2048) and logits.shape == (2, 21)
    torch.testing.assert_close(branch(pixels), logits)


def test_table_2_embedding():
    embedding = Embedding(128)
    first, relu, *residual = embedding.layers
    assert (first.in_channels, first.out_channels) == (128 + 128 + 256, 128)
    assert first.kernel_size == (3, 3) and isinstance(relu, nn.ReLU) and len(residual) == 6
    maps = torch.rand(2, 128, 7, 7)
    assert embedding(maps, maps, torch.rand(2, 256, 7, 7)).shape == (2, 128, 7, 7)
    for block in residual:
        nn.init.zeros_(block.body[0].weight), nn.init.zeros_(block.body[0].bias)
    x = torch.randn(1, 128, 7, 7)
    assert torch.equal(residual[0](x), x), "the input is added"


def test_table_2_decoder():
    decoder, h = Decoder(side=8, channels=1, size=128, width=64), 128
    found = shapes(decoder, torch.rand(1, 128, 8, 8))
    stages = [(512, h // 8), (256, h // 4), (128, h // 2), (64, h)]
    assert found[::3] == [(depth, side, side) for depth, side in stages] + [(1, h, h)]
    layers = [each for each in decoder if isinstance(each, nn.ConvTranspose2d)]
    assert [each.kernel_size[0] for each in layers] == [4, 4, 4, 4, 3]
    assert [each.stride[0] for each in layers] == [2, 2, 2, 2, 1]
    assert all(each.padding == (1, 1) for each in layers)
    assert sum(isinstance(each, nn.InstanceNorm2d) for each in decoder) == 4
    assert isinstance(decoder[-1], nn.Sigmoid)


@pytest.mark.parametrize("network", ["inception", "inception-56", "resnet18", "resnet10-half"])
def test_g_makes_pictures_like_its_inputs(network):
    generator = build_generator(network, build_encoder(network), width=4).eval()
    spec = generator.E_f.spec
    pixels = torch.rand(1, spec.channels, spec.size, spec.size)
    with torch.no_grad():
        made = generator(pixels, pixels.flip(3), generator.noise(pixels))
    assert made.image.shape == pixels.shape and 0 <= made.image.min() <= made.image.max() <= 1
    channels, side = generator.E_f.map_shape
    assert made.d_f.shape == made.d_e.shape == (1, channels, side, side)


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    return build_generator("inception-56", build_encoder("inception-56"), width=4)


def test_each_branch_sees_its_own_picture_and_the_noise_matters(generator):
    i_f, i_e = torch.rand(2, 1, 1, 56, 56)
    d_n = generator.noise(i_f)
    made = generator(i_f, i_e, d_n)
    assert torch.equal(made.d_f, generator.E_f.maps(i_f))
    assert torch.equal(made.d_e, generator.E_e.maps(i_e))
    assert torch.equal(made.image, generator.decode(made.d_f, made.d_e, d_n))
    for other in ((i_e, i_e, d_n), (i_f, i_f, d_n), (i_f, i_e, 1 - d_n)):
        assert not torch.allclose(generator(*other).image, made.image, atol=1e-6)
    assert generator.noise(i_f).shape == (1, 256, 4, 4) and 0 <= d_n.min() <= d_n.max() <= 1


def test_the_default_width_is_the_papers():
    decoder = build_generator("inception-56", build_encoder("inception-56"), None).D_g
    assert decoder[0].out_channels == 512


def test_transfer_is_each_face_with_each_expression(generator):
    faces, expressions = torch.rand(2, 1, 56, 56), torch.rand(3, 1, 56, 56)
    grid = generator.eval().transfer(faces, expressions)
    assert grid.shape == (2, 3, 1, 56, 56)
    with torch.no_grad():
        made = generator(faces[1:], expressions[2:], generator.still_noise(faces[1:]))
    torch.testing.assert_close(grid[1, 2], made.image[0], atol=1e-5, rtol=0)


def test_a_network_without_square_maps_is_one_clear_line():
    with pytest.raises(UserError, match="needs an encoder with square maps"):
        TdganBranch(build_encoder("mobilefacenet"), 8, 0.0)
