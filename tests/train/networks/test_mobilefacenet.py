import pytest
import torch
from torch import nn

from train.networks.encoders import MobileFaceNetEncoder, build_encoder
from train.networks.mobilefacenet import MobileFaceNet, PReLU, read_mobilefacenet


@pytest.mark.parametrize("frozen", [False, True])
def test_its_prelu_has_the_gradients_of_torchs(frozen):
    ours, theirs = PReLU(3).double(), nn.PReLU(3).double()
    nn.init.uniform_(theirs.weight, -1, 1)
    ours.load_state_dict(theirs.state_dict())
    ours.weight.requires_grad_(not frozen)
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)

    gradients = []
    for prelu in (ours, theirs):
        x.grad = None
        (prelu(x) ** 2).sum().backward()
        gradients.append(x.grad.clone())

    torch.testing.assert_close(*gradients)
    if frozen:
        assert ours.weight.grad is None
    else:
        torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
        assert torch.autograd.gradcheck(ours, (x,))


def test_it_has_the_parameters_of_the_paper():
    # 0.99 M with the embedding of 128 (Chen et al. 2018, Table 1): 512·128 weights, 2·128 of its
    # batch norm.
    count = sum(parameter.numel() for parameter in MobileFaceNet().parameters())
    assert 0.98e6 < count + 512 * 128 + 256 < 1.01e6


def test_the_encoder_leaves_out_the_margin_and_scales_to_minus_one_and_one(monkeypatch):
    encoder = build_encoder("mobilefacenet").eval()
    assert isinstance(encoder, MobileFaceNetEncoder)
    seen = []
    encoder.layers.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    pixels = torch.rand(2, 3, 112, 112)
    encoder(pixels)

    torch.testing.assert_close(seen[0], (pixels[..., 8:104] * 255 - 127.5) / 128)


def test_the_published_embedding_is_left_out_and_all_else_has_to_be_there(tmp_path):
    path = tmp_path / "network.pt"
    network = MobileFaceNet()
    state = network.state_dict()
    torch.save(state | {"linear1.conv.weight": torch.zeros(128, 512, 1, 1)}, path)
    for name, tensor in read_mobilefacenet(path).state_dict().items():
        assert torch.equal(tensor, state[name]), name

    del state["linear7.bn.bias"]
    torch.save(state, path)
    with pytest.raises(ValueError, match="is not a MobileFaceNet state dict: .*") as error:
        read_mobilefacenet(path)
    assert "\n" not in str(error.value)
