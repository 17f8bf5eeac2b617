import pytest
import torch
from torch import nn

from train.networks.joint_pose_expression import (
    AttributeCodes,
    AttributeDiscriminator,
    Generator,
    IdentityDiscriminator,
)

CLASSES = tuple("abcdefgh")


# The networks, against section 4.2 and CAAE, which it names.


@pytest.mark.parametrize(("size", "channels", "width"), [(112, 3, 64), (56, 1, 16)])
def test_the_generator_bridges_encoder_and_decoder_by_f_and_the_codes(size, channels, width):
    generator = Generator(50, 17, channels, size, width)
    x, codes = torch.rand(2, channels, size, size), torch.zeros(2, 17)
    made, f = generator(x, codes)

    assert made.shape == x.shape and made.min() >= 0 and made.max() <= 1
    assert f.shape == (2, 50) and f.abs().max() < 1
    convolutions = [each for each in generator.G_enc.maps if isinstance(each, nn.Conv2d)]
    assert [each.out_channels for each in convolutions] == [width, 2 * width, 4 * width, 8 * width]
    assert generator.G_dec.stages[0].in_channels == 50 + 17
    kinds = {type(each) for each in generator.modules()}
    assert not kinds & {nn.BatchNorm1d, nn.BatchNorm2d}, "G has no batch normalisation"


def test_a_face_with_other_codes_is_another_face_of_the_same_f():
    generator = Generator(50, 17, 1, 56, 8)
    x, codes = torch.rand(1, 1, 56, 56).expand(2, -1, -1, -1), torch.eye(17)[[0, 9]]
    made, f = generator(x, codes)
    assert torch.equal(f[0], f[1]) and not torch.allclose(made[0], made[1], atol=1e-3)
    assert torch.equal(generator.G_dec(f, codes), made)


def test_d_att_has_caaes_layers_and_reads_the_codes():
    network = AttributeDiscriminator(17, 1, 56)
    convolutions = [each for each in network.modules() if isinstance(each, nn.Conv2d)]
    assert [each.in_channels for each in convolutions] == [1, 16 + 17, 32, 64]
    assert [each.out_channels for each in convolutions] == [16, 32, 64, 128]
    norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    assert len(norms) == 4 and network.hidden.out_features == 1024

    x, codes = torch.rand(1, 1, 56, 56).expand(4, -1, -1, -1), torch.eye(17)[:4]
    logits = network(x, codes)
    assert logits.shape == (4,) and len(logits.unique()) == 4


def test_d_i_has_caaes_layers():
    network = IdentityDiscriminator(50)
    linear = [each for each in network if isinstance(each, nn.Linear)]
    assert [each.out_features for each in linear] == [64, 32, 16, 1]
    assert network(torch.zeros(3, 50)).shape == (3, 1)


def test_weights_start_as_the_paper_has_them():
    for network in (Generator(50, 17, 1, 56, 32), AttributeDiscriminator(17, 1, 56)):
        layers = nn.Conv2d, nn.ConvTranspose2d, nn.Linear
        found = [each for each in network.modules() if isinstance(each, layers)]
        weights = torch.cat([each.weight.flatten() for each in found])
        assert weights.mean().abs() < 1e-3 and weights.std().item() == pytest.approx(0.02, rel=0.02)


# The codes.


def test_signed_and_unsigned_pose_codes():
    yaw = torch.tensor([-50.0, -35.0, -15.0, -5.0, 0.0, 5.0, 15.0, 25.0, 35.0, 50.0])
    signed, unsigned = AttributeCodes(CLASSES, True), AttributeCodes(CLASSES, False)
    assert signed.pose_class(yaw).tolist() == [0, 1, 3, 4, 4, 4, 5, 6, 7, 8]
    assert unsigned.pose_class(yaw).tolist() == [4, 3, 1, 0, 0, 0, 1, 2, 3, 4]
    assert (signed.poses, signed.length, unsigned.poses, unsigned.length) == (9, 17, 5, 13)
    assert unsigned.pose_titles() == ["0–10°", "10–20°", "20–30°", "30–40°", "> 40°"]
    titles = signed.pose_titles()
    assert len(titles) == 9 and titles[0] == "−(> 40°)" and titles[3:5] == ["−(10–20°)", "0–10°"]


def test_codes_are_two_one_hot_vectors_and_an_unknown_pose_has_none():
    codes = AttributeCodes(CLASSES, True)
    expression, pose = torch.tensor([2, 0]), torch.tensor([8, 3])
    found = codes(expression, pose, torch.tensor([True, False]))
    assert found.shape == (2, 17) and found[0].nonzero().flatten().tolist() == [2, 8 + 8]
    assert found[1].nonzero().flatten().tolist() == [0]
    every = codes.every()
    assert every.shape == (72, 17) and len(every.unique(dim=0)) == 72
    assert every[1].nonzero().flatten().tolist() == [1, 8], "pose by pose"


def test_any_expression_under_any_pose_is_drawn_equally_often():
    torch.manual_seed(0)
    codes = AttributeCodes(CLASSES, True)
    code, expression = codes.drawn(7200, torch.device("cpu"))
    assert torch.equal(code[:, :8], expression) and torch.all(code.sum(dim=1) == 2)
    counts = code @ codes.every().T == 2
    assert counts.sum(dim=0).min() > 60 and counts.sum(dim=0).max() < 140
