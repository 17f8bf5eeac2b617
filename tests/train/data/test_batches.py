import pytest
import torch

from train.data.batches import BalancedSampler, Shard

LABEL = torch.tensor([0] * 900 + [1] * 100 + [-1] * 100)


def shares(sampler: BalancedSampler, epochs: int = 20) -> list[float]:
    drawn = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        drawn += list(sampler)
    label = LABEL[torch.tensor(drawn)]
    return [float((label == which).double().mean()) for which in (0, 1, -1)]


@pytest.mark.parametrize("balance, rare", [(0.0, 0.1), (0.5, 0.25), (1.0, 0.5)])
def test_classes_are_drawn_by_a_power_of_their_number(balance, rare):
    common, found, unlabelled = shares(BalancedSampler(LABEL, balance, Shard()))
    assert found / (found + common) == pytest.approx(rare, abs=0.02)
    assert unlabelled == pytest.approx(1 / 11, abs=0.01), "as often as an average face"


def test_every_epoch_draws_anew_and_a_seed_draws_the_same():
    sampler, same = (BalancedSampler(LABEL, 0.5, Shard(seed=3)) for _ in range(2))
    first = list(sampler)
    assert first == list(same) and len(first) == len(LABEL)
    sampler.set_epoch(1)
    assert list(sampler) != first


def test_processes_share_what_one_would_draw():
    whole = list(BalancedSampler(LABEL, 0.5, Shard()))
    halves = [list(BalancedSampler(LABEL, 0.5, Shard(rank, 2))) for rank in (0, 1)]
    assert halves == [whole[::2], whole[1::2]]
