import pytest
import torch
from torch import nn

from train.networks.decoder import SIDES, Decoder, DecoderBlock


@pytest.mark.parametrize(("size", "channels", "width"), [(112, 3, 16), (56, 1, 32)])
def test_a_feature_becomes_a_face(size, channels, width):
    decoder = Decoder(512, channels, size, width)
    pixels = decoder(torch.randn(2, 512))

    assert pixels.shape == (2, channels, size, size)
    assert pixels.min() >= 0 and pixels.max() <= 1 and pixels.std() > 0.01


@pytest.mark.parametrize("size", SIDES)
def test_five_stages_in_the_papers_order(size):
    stages = Decoder(512, 1, size, 32).stages
    kinds = ["ConvTranspose2d", "InstanceNorm2d", "ReLU", "DecoderBlock"] * 5
    assert [type(layer).__name__ for layer in stages] == kinds

    x, sides = torch.randn(1, 512, 1, 1), []
    for layer in stages:
        x = layer(x)
        if isinstance(layer, DecoderBlock):
            sides.append(x.shape[2])
    assert tuple(sides) == SIDES[size]
    assert x.shape[1] == 16, "channels halve from 8·width to width/2"


def test_the_papers_decoder_makes_112_px_in_colour_by_doubling():
    assert SIDES[112] == (7, 14, 28, 56, 112)


def test_no_face_of_a_batch_changes_another():
    decoder, features = Decoder(512, 1, 56, 32), torch.randn(3, 512)
    torch.testing.assert_close(decoder(features)[:1], decoder(features[:1]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("size", SIDES)
def test_enlarging_in_place_of_transposing_makes_the_same_sides(size):
    decoder = Decoder(512, 1, size, 8, "resized")
    kinds = {type(layer) for layer in decoder.modules()}
    assert nn.InstanceNorm2d not in kinds and {nn.BatchNorm2d, nn.Upsample} <= kinds
    assert decoder(torch.randn(2, 512)).shape == (2, 1, size, size)


def test_another_size_is_refused():
    with pytest.raises(ValueError, match="112, 56 px, not 64"):
        Decoder(512, 1, 64, 32)
