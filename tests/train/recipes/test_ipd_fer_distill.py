import dataclasses

import numpy as np
import pytest
import torch

from tests.train.recipes.test_ipd_fer import OPTIONS
from tests.train.training import fit_options
from train.__main__ import main
from train.data.batches import FaceDataset
from train.data.identity import identity_features
from train.data.prepared import read_prepared
from train.data.teacher import taught, teachers_word
from train.errors import UserError
from train.fit import fit, make_fabric
from train.recipes.ipd_fer_distill import IpdFerDistill, IpdFerDistillOptions

pytestmark = pytest.mark.usefixtures("stand_in_identity")


@pytest.fixture
def options(tiny_run):
    faithful = dataclasses.asdict(dataclasses.replace(OPTIONS, hard_labels=False))
    faithful["augmentation"] = OPTIONS.augmentation
    return IpdFerDistillOptions(**faithful, teacher=(tiny_run,), share=0.25)


def test_all_losses_see_the_teachers_labels_and_f_id_alone(options, tiny_copy, monkeypatch):
    data, fabric = read_prepared(tiny_copy), make_fabric("cpu", "32-true")
    data.split[0], data.label[0], data.votes[0] = "unlabelled", -1, 0
    recipe = IpdFerDistill(options, data.classes)
    extra = recipe.prepare(data, tiny_copy, fabric)
    recipe.setup(fabric, steps=3)
    rows = recipe.rows(data)
    assert 0 in rows
    seen, recipe.schedules = [], {}
    for update in ("update_classifiers", "update_D", "update_G"):
        monkeypatch.setattr(recipe, update, lambda sample: seen.append(sample) or {})

    batch = FaceDataset(data, rows, extra).__getitems__(range(8))
    recipe.step(batch)

    said = teachers_word(options.teacher, data, tiny_copy, fabric.device)
    target = taught(batch.target, torch.from_numpy(said[rows[:8]]), 0.25)
    f_id = identity_features(recipe.E_id, data, tiny_copy, fabric.device)
    assert len(seen) == 3
    for sample in seen:
        torch.testing.assert_close(sample.y, target)
        np.testing.assert_array_equal(sample.f_id, f_id[rows[:8]])
        assert not sample.neutral[0], "nobody said that the face without a label is neutral"


@pytest.mark.slow
def test_it_trains_and_draws_like_ipd_fer(options, tiny_copy, tmp_path):
    run = tmp_path / "run"
    log = fit(
        "ipd_fer_distill", fit_options(tiny_copy, run), options, read_prepared(tiny_copy), False
    )
    assert len(log) == 2 and (run / "faces-2.png").is_file()
    picture = tmp_path / "faces.png"
    assert main(["visualize", "faces", "--run", str(run), "--data", str(tiny_copy),
                 "--split", "test", "--output", str(picture)]) == 0  # fmt: skip
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_the_majority_alone_is_not_what_a_teacher_says(options):
    with pytest.raises(UserError, match="leave out --hard-labels"):
        IpdFerDistill(dataclasses.replace(options, hard_labels=True), ("neutral", "anger"))
