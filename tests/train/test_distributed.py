"""Two processes train as one. They are started as a user starts them, through Lightning Fabric."""

import json
import subprocess
import sys

import pytest

from tests.train.people import write_people
from tests.train.test_fit import SMALL
from tests.train.training import fit_options, read_rows
from train.data.batches import FaceDataset, Shard, training_loader
from train.data.prepared import read_prepared
from train.errors import UserError
from train.fit import fit


def trained(tmp_path, data, devices):
    run = tmp_path / f"run{devices}"
    command = [sys.executable, "-m", "tests.train.still", str(data), str(run), str(devices)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return run, done.stdout


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(tiny_data, tmp_path):
    (one, _), (two, printed) = (trained(tmp_path, tiny_data, devices) for devices in (1, 2))

    rows_of_one, rows_of_two = (read_rows(run / "log.csv") for run in (one, two))
    assert len(rows_of_one) == len(rows_of_two) == 3
    for expected, found in zip(rows_of_one, rows_of_two, strict=True):
        for key in set(expected) - {"epoch", "seconds"}:
            assert float(found[key]) == pytest.approx(float(expected[key]), rel=1e-3), key
    assert rows_of_one[0]["loss_expression"] != rows_of_one[2]["loss_expression"]
    assert printed.count("epoch 1: accuracy") == 1, "the first process alone reports"
    assert printed.count("finished 3") == 2, "there were two of them"
    assert len(list((two / "tensorboard").iterdir())) == 3, "the first process alone writes"
    assert json.loads((two / "config.json").read_text())["fit"]["devices"] == 2


@pytest.mark.slow
def test_the_command_trains_the_baseline_in_two_processes(tiny_data, tmp_path):
    command = [sys.executable, "-m", "train", "fit", "baseline", "--data", str(tiny_data)]
    command += ["--run", str(tmp_path / "run"), "--epochs", "1", "--batch-size", "16"]
    command += ["--network", "resnet10-half", "--device", "cpu", "--devices", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 1: accuracy") == 1
    assert (tmp_path / "run" / "best.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["ipd_fer", "joint_pose_expression", "tdgan"])
def test_two_processes_keep_the_same_weights(recipe, tiny_data, tmp_path):
    people = [write_people(tmp_path / "people")] if recipe == "tdgan" else []
    command = [
        sys.executable,
        "-m",
        "tests.train.alike",
        recipe,
        tiny_data,
        tmp_path / "run",
        *people,
    ]
    done = subprocess.run(map(str, command), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_shards_divide_each_batch_and_leave_nothing_twice(tiny_data):
    data = read_prepared(tiny_data)
    dataset = FaceDataset(data, data.rows("train"))
    orders = []
    for epoch in (1, 2):
        seen = []
        for rank in (0, 1):
            shard = Shard(rank, 2, seed=3)
            loader = training_loader(dataset, 16, shard)
            shard.start_epoch(loader, epoch)
            assert all(len(batch.faces) == 8 for batch in loader)
            seen += list(loader.sampler)
        assert sorted(seen) == list(range(len(dataset)))
        orders.append(seen)
    assert orders[0] != orders[1]


def test_a_batch_that_cannot_be_shared_is_one_clear_line(tiny_data):
    data = read_prepared(tiny_data)
    with pytest.raises(UserError, match="--batch-size 15 cannot be shared by 2 devices"):
        training_loader(FaceDataset(data, data.rows("train")), 15, Shard(0, 2))


def test_data_without_validation_faces_is_refused(tiny_data, tmp_path):
    data = read_prepared(tiny_data)
    data = data.only(data.rows("train"))
    with pytest.raises(UserError, match="has no validation faces"):
        fit("baseline", fit_options(tiny_data, tmp_path / "run"), SMALL, data, resume=False)
