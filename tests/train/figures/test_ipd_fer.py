"""The figures; what they show is tested in test_comparison and here, not their looks."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import train.figures.ipd_fer as figures
import train.recipes.ipd_fer as ipd_fer
from tests.train.made_up import POINTS, save_picture
from tests.train.recipes.test_ipd_fer import OPTIONS, fit_options
from train.__main__ import main
from train.errors import UserError
from train.evaluation.evaluate import evaluate_run
from train.figures.embedding import embed, expression_features, read_people
from train.figures.ipd_fer import Faces
from train.fit import fit
from train.runs.load import load_model

PNG = b"\x89PNG"

pytestmark = pytest.mark.usefixtures("stand_in_identity")


@pytest.fixture(scope="module")
def evaluated_run(tiny_run, data, tmp_path_factory):
    """A copy of the baseline's run, measured on validation."""
    run = tmp_path_factory.mktemp("runs") / "evaluated"
    shutil.copytree(tiny_run, run)
    evaluate_run(run, data, "validation", device="cpu")
    return run


@pytest.fixture(scope="module")
def ipd_run(tiny_data, data, tmp_path_factory):
    """IPD-FER after an epoch, and its recipe."""
    run = tmp_path_factory.mktemp("runs") / "ipd"
    kept = []
    picture = ipd_fer.IpdFer.picture
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ipd_fer.IpdFer, "picture", lambda self, data, extra, path: (
            kept.append(self), picture(self, data, extra, path)))  # fmt: skip
        fit("ipd_fer", fit_options(tiny_data, run, epochs=1), OPTIONS, data, resume=False)
    return run, kept[0]


@pytest.mark.slow
def test_faces_are_those_of_the_last_epochs_networks(ipd_run, tiny_data, data, monkeypatch):
    run, recipe = ipd_run
    drawn = []
    monkeypatch.setattr(figures, "plot_faces", lambda found: drawn.append(found) or Figure())
    wanted = tuple(data.ids[data.rows("test")][[3, 1]])
    Faces(run, tiny_data, "test", ids=wanted).run()

    rows = data.rows("test")[[3, 1]]
    faces = torch.from_numpy(np.array(data.faces[rows]))
    assert list(drawn[0]) == ["input", "f_id", "f_id + f_pose", "… + f_exp"]
    for made in recipe.made(faces, torch.from_numpy(data.label[rows])):
        pixels = made.pixels.numpy()
        np.testing.assert_allclose(drawn[0][made.title], pixels, atol=1e-4)
        assert pixels.shape == (2, 1, 56, 56) and pixels.min() >= 0 and pixels.max() <= 1


@pytest.mark.slow
def test_faces_are_drawn_by_default_into_the_run(ipd_run, tiny_data, tiny_run, capsys):
    run, data = str(ipd_run[0]), ["--data", str(tiny_data)]
    assert main(["visualize", "faces", "--run", run, *data, "--count", "3"]) == 0
    assert (ipd_run[0] / "faces-validation.png").read_bytes()[:4] == PNG
    assert main(["visualize", "faces", "--run", run, *data, "--ids", "nobody"]) == 1
    assert "no face nobody in validation, but face12, face13" in capsys.readouterr().err
    assert main(["visualize", "faces", "--run", str(tiny_run), *data]) == 1
    assert "a run of baseline, which makes no such faces" in capsys.readouterr().err


def test_id_fer_has_no_column_of_f_pose(data, tiny_data):
    recipe = ipd_fer.IpdFer(ipd_fer.IpdFerOptions("stand-in", pose=False), data.classes)
    face, label = torch.zeros(1, 112, 112, 1, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)
    titles = [each.title for each in recipe.made(face, label)]
    assert titles == ["input", "f_id", "… + f_exp"]


def test_features_are_those_of_the_expression_encoder(tiny_run, data):
    faces = np.array(data.faces[:5])
    features = expression_features(tiny_run, faces)
    model, _ = load_model(tiny_run)
    with torch.no_grad():
        logits = model(torch.from_numpy(faces)).expression
        expected = model.expression.classifier(torch.from_numpy(features))
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_the_silhouette_tells_clusters_from_none_and_the_seed_fixes_the_map():
    random = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], 20)
    apart = random.normal(size=(40, 8)) * 0.1 + np.where(labels == "a", 1, -1)[:, None]
    one, other = (embed("run", "person", apart, labels, seed=1) for _ in range(2))

    mixed = embed("run", "person", random.normal(size=(40, 8)), labels, seed=1)
    assert one.silhouette > 0.8 > 0.2 > mixed.silhouette
    np.testing.assert_array_equal(one.points, other.points)
    assert one.points.shape == (40, 2)
    with pytest.raises(UserError, match="by person needs at least two"):
        embed("run", "person", apart, np.full(40, "a"), seed=1)


class OnePlace:
    """Instead of MTCNN: the same landmarks in every picture that is not dark."""

    def landmarks(self, picture):
        return POINTS if picture.mean() > 20 else None


def test_people_are_the_folders_of_their_pictures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("train.figures.embedding.FaceFinder", OnePlace)
    for index, name in enumerate(("s1/1.png", "s1/2.png", "s2/1.png", "s2/notes.txt")):
        save_picture((tmp_path / name).with_suffix(".png"), index)
    cv2.imwrite(str(tmp_path / "s2" / "dark.png"), np.zeros((100, 100), np.uint8))
    faces, people = read_people(tmp_path)

    assert faces.shape == (4, 112, 112, 3) and faces.dtype == np.uint8
    assert list(people) == ["s1", "s1", "s2", "s2"]
    assert "4 faces of 2 people; none found in 1" in capsys.readouterr().out
    with pytest.raises(UserError, match="no pictures of faces"):
        read_people(tmp_path / "s1")


def test_each_figure_is_one_command(evaluated_run, tiny_data, tmp_path, monkeypatch):
    monkeypatch.setattr("train.figures.embedding.FaceFinder", OnePlace)
    for index in range(6):
        save_picture(tmp_path / "people" / f"s{index % 2}" / f"{index}.png", index)
    run, data = str(evaluated_run), str(tiny_data)
    commands = {
        "confusion": ["--run", run],
        "pose": ["--runs", run],
        "ablation": ["--runs", run],
        "tsne": ["--runs", run, run, "--data", data, "--people", str(tmp_path / "people")],
    }
    for name, arguments in commands.items():
        path = tmp_path / "figures" / f"{name}.png"
        assert main(["visualize", name, *arguments, "--output", str(path)]) == 0
        assert path.read_bytes()[:4] == PNG
    assert "| All | 32 |" in (tmp_path / "figures" / "ablation.md").read_text()


def test_what_evaluate_has_not_measured_is_one_clear_line(tiny_run, capsys):
    assert main(["visualize", "confusion", "--run", str(tiny_run), "--split", "train"]) == 1
    assert "train evaluate --run" in capsys.readouterr().err
