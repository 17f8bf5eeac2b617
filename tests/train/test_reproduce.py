import dataclasses
import json
from pathlib import Path

import pytest

import train.evaluation.cost
import train.fit
import train.reproduce
from tests.train.training import read_rows
from train.__main__ import main
from train.data.augmentation import Augmentation
from train.errors import UserError
from train.evaluation.cost import inference_cost
from train.recipes.methods import METHODS
from train.recipes.tdgan import TdganOptions
from train.reproduce import PAPER, SMALL, Reproduce
from train.runs.folder import plain

pytestmark = pytest.mark.usefixtures("stand_in_identity")


@pytest.fixture
def command(tiny_data, tmp_path):
    """The baseline and an ablation of IPD-FER, two epochs each, on small networks."""
    return Reproduce(
        identity="stand-in", data=tiny_data, output=tmp_path, methods=("baseline", "no_cos"),
        seeds=1, network="resnet10-half", batch_size=32, epochs=2, precision="32-true",
        device="cpu",
    )  # fmt: skip


def test_every_method_gets_the_same_budget():
    command = Reproduce(
        identity="x", faces=Path("people"), paper=True, epochs=4,
        augmentation=Augmentation(rotation=1.0),
    )  # fmt: skip
    found = {name: command._options(name, 3) for name in command.methods}

    assert set(found) == set(METHODS) and {how.seed for how, _ in found.values()} == {3}
    shared = ("pose_network", "rate", "schedule", "decay", "dropout", "mixup",
              "hard_labels", "augmentation", "initial")  # fmt: skip
    for how, options in found.values():
        own = "inception" if isinstance(options, TdganOptions) else "resnet18"
        assert (how.epochs, how.batch_size, options.network) == (4, 32, own)
        assert [getattr(options, name) for name in shared] == [
            getattr(found["ipd_fer"][1], name) for name in shared
        ]
    assert not found["no_cos"][1].cos and found["no_cos"][1].id and not found["id_fer"][1].pose
    assert found["ipd_fer"][1].identity_every == PAPER.identity_every == 1
    assert Reproduce(identity="x")._options("ipd_fer", 0)[1].identity_every == SMALL.identity_every


def test_the_papers_budget_is_the_papers():
    assert (PAPER.batch_size, PAPER.epochs, PAPER.rate, PAPER.decay) == (32, 30, 1e-4, 0)
    assert PAPER.network == PAPER.pose_network == "resnet18" and PAPER.schedule == "paper"


@pytest.mark.parametrize("paper", [False, True])
def test_tdgan_has_an_encoder_of_table_1_that_costs_as_much(paper, monkeypatch):
    monkeypatch.setattr(train.evaluation.cost, "TIMED", 1)
    command = Reproduce(faces=Path("people"), paper=paper)
    others, tdgan = (command._options(name, 0)[1] for name in ("baseline", "tdgan"))
    costs = []
    for options in (others, dataclasses.replace(others, network=tdgan.network)):
        config = {"recipe": "baseline", "options": plain(options), "classes": range(8)}
        costs.append(inference_cost(config).multiply_adds)
    assert costs[1] == pytest.approx(costs[0], rel=0.05)


def test_each_method_starts_from_the_run_with_its_network(tmp_path):
    for network in ("resnet18-half", "inception-56"):
        (tmp_path / network).mkdir()
        config = json.dumps({"options": {"network": network}})
        (tmp_path / network / "config.json").write_text(config)
    both = tmp_path / "resnet18-half", tmp_path / "inception-56"
    command = Reproduce(faces=Path("people"), initial=both)
    assert command._options("baseline", 0)[1].initial == both[0]
    assert command._options("tdgan", 0)[1].initial == both[1]
    with pytest.raises(UserError, match="TDGAN has the network inception-56.*train fit pretrain"):
        dataclasses.replace(command, initial=both[:1])._options("tdgan", 0)
    assert Reproduce()._options("baseline", 0)[1].initial is None


def test_without_e_id_there_is_the_baseline_alone():
    Reproduce()._options("baseline", 0)
    with pytest.raises(UserError, match="IPD-FER needs --identity"):
        Reproduce()._options("ipd_fer", 0)


@pytest.mark.slow
def test_repeating_the_command_ends_in_the_table(command, tmp_path, capsys, monkeypatch):
    """With no time at all, then with time for one epoch at a time, then with all the time."""
    assert dataclasses.replace(command, minutes=0.0).run() == 3
    assert capsys.readouterr().out.startswith("Not finished: 0 of 2 runs are.")
    epochs = []
    train_epoch = train.fit._train_epoch

    def one_epoch(*arguments):
        epochs.append(arguments[-1])
        monkeypatch.setattr(train.fit.time, "monotonic", lambda: 1e9)
        return train_epoch(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(train.fit, "_train_epoch", one_epoch)
        assert dataclasses.replace(command, minutes=1.0).run() == 3
    assert epochs == [1]
    monkeypatch.undo()
    assert command.run() == 0

    log = read_rows(tmp_path / "baseline" / "seed-0" / "log.csv")
    assert [row["epoch"] for row in log] == ["1", "2"], "the second went on after the first"
    table = json.loads((tmp_path / "table-validation.json").read_text())
    assert [row["method"] for row in table["methods"]] == ["baseline", "IPD-FER without L_cos"]
    assert not (tmp_path / "baseline" / "seed-0" / "evaluation-test.json").exists()

    def no_more(*arguments):
        raise AssertionError("a finished run is neither trained nor measured again")

    monkeypatch.setattr(train.reproduce, "fit", no_more)
    with monkeypatch.context() as patch:
        patch.setattr(train.reproduce, "evaluate_run", no_more)
        assert command.run() == 0
    assert dataclasses.replace(command, test=True).run() == 0
    assert json.loads((tmp_path / "table-test.json").read_text())["split"] == "test"
    with pytest.raises(UserError, match="started with another options.rate"):
        dataclasses.replace(command, rate=0.5).run()


def test_several_processes_share_the_seeds(command, tmp_path, monkeypatch):
    finished, compared = [], []
    monkeypatch.setattr(Reproduce, "_finish", lambda *run: finished.append(run[1:3]) or True)
    monkeypatch.setattr(Reproduce, "_compare", lambda _, runs: compared.append(runs))
    for first in (0, 2):
        assert dataclasses.replace(command, first_seed=first, seeds=2).run() == 0
    both = [(name, seed) for seed in range(4) for name in ("baseline", "no_cos")]
    assert finished == both
    assert [run for runs in compared for run in runs] == [
        tmp_path / name / f"seed-{seed}" for name, seed in both
    ]


def test_a_wrong_folder_is_one_clear_line(capsys, tmp_path):
    assert main(["reproduce", "ferplus", "--data", str(tmp_path)]) == 1
    assert "prepare" in capsys.readouterr().err


def test_half_a_result_is_not_taken_as_done(command, tmp_path, monkeypatch):
    """A result that is cut off, and one of an earlier best epoch, are measured again; a run that
    somebody measured before its last epoch goes on."""
    command = dataclasses.replace(command, methods=("baseline",))
    run = tmp_path / "baseline" / "seed-0"
    trained, measured = [], []
    evaluate, fit = train.reproduce.evaluate_run, train.reproduce.fit

    def evaluated(*how):
        measured.append(how)
        return evaluate(*how)

    def fitted(*how):
        trained.append(how)
        return fit(*how)

    monkeypatch.setattr(train.reproduce, "evaluate_run", evaluated)
    monkeypatch.setattr(train.reproduce, "fit", fitted)
    assert dataclasses.replace(command, epochs=2).run() == 0
    result = run / "evaluation-validation.json"
    whole = result.read_text()

    def again() -> tuple[int, int]:
        trained.clear(), measured.clear()
        assert command.run() == 0
        assert result.read_text() == whole
        return len(trained), len(measured)

    assert again() == (0, 0)
    result.write_text(whole[: len(whole) // 2])
    assert again() == (0, 1)
    earlier = json.loads(whole) | {"checkpoint_sha256": "0" * 64}
    result.write_text(json.dumps(earlier))
    assert again() == (0, 1)
    earlier.pop("checkpoint_sha256")
    result.write_text(json.dumps(earlier, indent=2) + "\n")
    trained.clear(), measured.clear()
    assert command.run() == 0 and not measured, "of a version that did not write it"

    result.write_text(whole)
    rows = (run / "log.csv").read_text().splitlines(keepends=True)
    (run / "log.csv").write_text("".join(rows[:2]))
    assert again()[0] == 1


def test_all_runs_have_the_precision_of_the_first(command, tmp_path, monkeypatch, capsys):
    """Also where another machine, which would have chosen another one, joins in."""
    command = dataclasses.replace(command, precision="auto")
    assert command._precision() == train.reproduce.choose_precision("cpu")[0]
    (tmp_path / "baseline" / "seed-0").mkdir(parents=True)
    config = json.dumps({"fit": {"precision": "16-mixed"}})
    (tmp_path / "baseline" / "seed-0" / "config.json").write_text(config)
    given = []
    monkeypatch.setattr(Reproduce, "_finish", lambda self, *run: given.append(self.precision))
    assert command.run() == 3 and given == ["16-mixed"]
    assert "Precision 16-mixed, that of" in capsys.readouterr().out
