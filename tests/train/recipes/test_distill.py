import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import train.data.teacher
from engine.session import open_session
from train.data.prepared import read_prepared
from train.data.teacher import taught, teacher_probabilities
from train.errors import UserError
from train.fit import FitOptions, fit
from train.recipes.distill import Distill, DistillOptions
from train.runs.checkpoint import load_state
from train.runs.load import load_model

CPU = torch.device("cpu")


def test_labels_are_the_teachers_by_the_share_and_his_alone_where_nobody_voted():
    votes = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    teacher = torch.tensor([[0.4, 0.6], [0.3, 0.7]])
    expected = torch.tensor([[0.25 * 1 + 0.75 * 0.4, 0.75 * 0.6], [0.3, 0.7]])
    torch.testing.assert_close(taught(votes, teacher, 0.75), expected)


def test_the_teacher_sees_each_face_and_its_mirror_image_once(tiny_copy, tiny_run):
    data = read_prepared(tiny_copy)
    found = teacher_probabilities(tiny_run, data, tiny_copy, CPU)
    model, _ = load_model(tiny_run)
    with torch.no_grad():
        views = [np.array(data.faces[:4]), np.array(data.faces[:4, :, ::-1])]
        each = [model(torch.from_numpy(view)).expression.softmax(dim=1) for view in views]

    np.testing.assert_allclose(found[:4], (each[0] + each[1]) / 2, atol=1e-5)
    again = teacher_probabilities(tiny_run, data, tiny_copy, CPU)
    assert len(list(tiny_copy.glob("teacher-*.npy"))) == 1 and np.array_equal(found, again)


def test_a_student_learns_what_only_the_teacher_knows(tiny_copy, tiny_run, tmp_path):
    """Annotators who know nothing beside a teacher who does."""
    data = read_prepared(tiny_copy)
    data.votes[:] = 1
    options = FitOptions(
        tiny_copy, tmp_path / "student", epochs=5, batch_size=16, average=0.5,
        precision="32-true", device="cpu",
    )  # fmt: skip
    recipe = DistillOptions(
        network="resnet10-half", dropout=0.0, mixup=0.0, teacher=(tiny_run,), share=1.0
    )
    log = fit("distill", options, recipe, data, resume=False)
    assert max(row["accuracy"] for row in log) > 0.9
    assert load_state(options.run / "best.safetensors")["recipe"] == "distill"


def test_it_also_trains_on_faces_without_a_majority(tiny_copy, tiny_run):
    data = read_prepared(tiny_copy)
    data.split[:3] = "unlabelled"
    rows = Distill(DistillOptions(teacher=(tiny_run,)), data.classes).rows(data)
    assert set(range(3)) <= set(rows) and set(data.split[rows]) == {"train", "unlabelled"}


def test_a_teacher_of_other_classes_is_one_clear_line(tiny_copy, tiny_run):
    data = read_prepared(tiny_copy)
    other = type(data)(("neutral", "anger"), *list(vars(data).values())[1:])
    with pytest.raises(UserError, match="knows other classes"):
        teacher_probabilities(tiny_run, other, tiny_copy, CPU)


def test_of_several_teachers_the_mean_is_learnt(tiny_copy, tiny_run, monkeypatch):
    data = read_prepared(tiny_copy)
    said = {"one": np.full((128, 8), 0.1, np.float32), "two": np.full((128, 8), 0.3, np.float32)}
    monkeypatch.setattr(train.data.teacher, "teacher_probabilities", lambda run, *_: said[run.name])
    recipe = Distill(DistillOptions(teacher=(Path("one"), Path("two"))), data.classes)
    fabric = SimpleNamespace(device=CPU)
    found = recipe.prepare(data, tiny_copy, fabric)
    assert list(found) == ["teachers"]
    np.testing.assert_allclose(found["teachers"], 0.2, atol=1e-6)


def test_the_majority_alone_is_not_what_a_teacher_says():
    with pytest.raises(UserError, match="leave out --hard-labels"):
        Distill(DistillOptions(hard_labels=True), ("neutral", "anger"))


def test_a_model_file_teaches_too(tiny_copy):
    data = read_prepared(tiny_copy)
    file = Path("engine/models/ipd_fer.onnx").resolve()
    found = teacher_probabilities(file, data, tiny_copy, CPU)
    with open_session(file) as session:
        faces = np.repeat(np.array(data.faces[:4]), 3, axis=3)
        views = [np.ascontiguousarray(view) for view in (faces, faces[:, :, ::-1])]
        each = [session.run({"faces": view})["expression"] for view in views]
    np.testing.assert_allclose(found[:4], (each[0] + each[1]) / 2, atol=0.05)

    other = dataclasses.replace(data, classes=data.classes[::-1])
    with pytest.raises(UserError, match="knows other classes"):
        teacher_probabilities(file, other, tiny_copy, CPU)
