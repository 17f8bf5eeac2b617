import json
import platform

import pytest
import torch

import train.devices
from tests.train.training import fit_options
from train.data.prepared import read_prepared
from train.devices import check_one_precision, choose_precision, cpu_has_bfloat16, make_fabric
from train.errors import UserError
from train.fit import fit
from train.recipes.baseline import BaselineOptions

SMALL = BaselineOptions(network="resnet10-half", dropout=0.0, mixup=0.0)


@pytest.fixture
def processor(monkeypatch):
    """A processor with bfloat16 or without, whatever this machine has."""

    def set_to(has: bool) -> None:
        monkeypatch.setattr(train.devices, "cpu_has_bfloat16", lambda: has)

    return set_to


@pytest.mark.parametrize(("has", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_processor_gets_what_it_computes_in(processor, has, precision):
    processor(has)
    chosen, why = choose_precision("cpu")
    assert chosen == precision and "bfloat16" in why


@pytest.mark.parametrize(("has", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_gpu_gets_what_it_computes_in(monkeypatch, processor, has, precision):
    processor(not has)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has)
    assert choose_precision("auto")[0] == choose_precision("cuda")[0] == precision
    assert choose_precision("cpu")[0] != precision


@pytest.mark.skipif(platform.machine() != "x86_64", reason="about x86 alone")
def test_avx_512_by_itself_is_not_enough(monkeypatch):
    """oneDNN says yes to every AVX-512; only those with its bfloat16 instructions are fast."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert not cpu_has_bfloat16()


def precision_of(run) -> str:
    return json.loads((run / "config.json").read_text())["fit"]["precision"]


def test_a_run_says_and_keeps_what_was_taken(tiny_data, tmp_path, capsys, processor):
    """Started where there is no bfloat16, resumed where there is, and again where there is none."""
    data = read_prepared(tiny_data)
    how = fit_options(tiny_data, tmp_path / "run", epochs=2, batch_size=64, precision="auto")
    processor(False)
    fit("baseline", how, SMALL, data, resume=False, deadline=0)
    assert "32-true (this processor does not" in capsys.readouterr().out
    assert precision_of(how.run) == "32-true"
    fit("baseline", how, SMALL, data, resume=False)
    capsys.readouterr()

    processor(True)
    assert len(fit("baseline", how, SMALL, data, resume=True)) == 2
    assert "32-true (as the run was started)" in capsys.readouterr().out
    assert precision_of(how.run) == "32-true"
    other = fit_options(tiny_data, how.run, epochs=2, batch_size=64, precision="bf16-mixed")
    with pytest.raises(UserError, match="started with another fit.precision"):
        fit("baseline", other, SMALL, data, resume=True)


def test_a_run_in_bfloat16_goes_on_in_it_and_says_that_it_is_slow(
    tiny_data, tmp_path, capsys, processor
):
    data = read_prepared(tiny_data)
    how = fit_options(tiny_data, tmp_path / "run", epochs=1, batch_size=64, precision="auto")
    processor(True)
    fit("baseline", how, SMALL, data, resume=False)
    assert "bf16-mixed (this processor computes in bfloat16)" in capsys.readouterr().out
    processor(False)
    fit("baseline", how, SMALL, data, resume=True)
    assert "bf16-mixed (as the run was started; slow here" in capsys.readouterr().out


def test_a_precision_that_is_none_lists_those_there_are():
    with pytest.raises(UserError, match="--precision half: choose auto or one of 32-true, bf16"):
        make_fabric("cpu", "half")


def test_machines_that_would_differ_stop_all():
    class Two:
        world_size, device = 2, torch.device("cpu")

        def all_gather(self, own):
            return torch.stack([own, self.other])

    fabric = Two()
    fabric.other = torch.tensor(1)
    check_one_precision(fabric, "bf16-mixed")
    with pytest.raises(UserError, match="give all of them the same one"):
        check_one_precision(fabric, "32-true")
