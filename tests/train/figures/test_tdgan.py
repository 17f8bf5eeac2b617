"""TDGAN's figures; what they show, not their looks."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import train.data.pictures
import train.figures.tdgan as figures
from tests.train.made_up import POINTS, save_picture
from train.__main__ import main
from train.data.batches import FaceDataset
from train.data.prepared import read_prepared
from train.errors import UserError
from train.figures.tdgan import TdganTransfer, between_expressions, between_faces, load_tdgan
from train.fit import FitOptions, fit
from train.recipes.tdgan import Tdgan, TdganOptions
from train.runs.checkpoint import load_state

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def run(tiny_data, data, people, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tdgan"
    how = FitOptions(tiny_data, folder, epochs=1, batch_size=64, precision="32-true", device="cpu")
    options = TdganOptions(network="resnet10-half", decoder_width=4, faces=people)
    fit("tdgan", how, options, data, resume=False)
    return folder


def test_g_is_that_of_the_last_epoch(run, data, people):
    generator, look, folder = load_tdgan(run)
    options = TdganOptions(network="resnet10-half", decoder_width=4, faces=people)
    recipe = Tdgan(options, data.classes)
    recipe.networks.load_state_dict(load_state(run / "last.safetensors")["recipe"]["networks"])
    batch = FaceDataset(data, data.rows("train")).__getitems__([0, 5])
    i_f, i_e = look(batch.faces)
    expected = recipe.plain("G").eval().transfer(i_f[None], i_e[None])
    torch.testing.assert_close(generator.transfer(i_f[None], i_e[None]), expected)
    assert folder == people and not generator.training


def test_transfer_is_drawn_of_the_faces_asked_for(run, tiny_data, data, people, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "plot_transfer", lambda *what: drawn.append(what) or Figure())
    persons = read_prepared(people)
    face_ids = tuple(persons.ids[persons.rows("train")][[4, 1, 2]])
    ids = tuple(data.ids[data.rows("test")][[3, 0]])
    TdganTransfer(
        run, faces_split="train", face_ids=face_ids, data=tiny_data, split="test", ids=ids
    ).run()
    faces, expressions, grid = drawn[0]
    assert grid.shape == (3, 2, 1, 56, 56) and (run / "transfer-test.png").read_bytes()[:4] == PNG
    generator, look, _ = load_tdgan(run)
    i_f = look(torch.from_numpy(np.array(persons.faces[persons.rows("train")[[4, 1, 2]]])))
    i_e = look(torch.from_numpy(np.array(data.faces[data.rows("test")[[3, 0]]])))
    np.testing.assert_array_equal(faces, i_f)
    np.testing.assert_array_equal(expressions, i_e)
    np.testing.assert_allclose(grid, generator.transfer(i_f, i_e), atol=1e-6)


def test_interpolations_begin_and_end_with_what_lies_at_the_ends(run, data):
    generator, look, _ = load_tdgan(run)
    batch = FaceDataset(data, data.rows("train")).__getitems__([0, 5, 10])
    one, first, second = look(batch.faces).unsqueeze(1)
    ends = generator.transfer(one, torch.cat([first, second]))[0]
    made = between_expressions(generator, one, first, second, 3)
    assert list(made) == ["α = 0", "α = 0.5", "α = 1"]
    torch.testing.assert_close(torch.cat([made["α = 0"], made["α = 1"]]), ends)
    ends = generator.transfer(torch.cat([first, second]), one)[:, 0]
    made = between_faces(generator, one, first, second, 3)
    assert list(made) == ["β = 0", "β = 0.5", "β = 1"]
    torch.testing.assert_close(torch.cat([made["β = 0"], made["β = 1"]]), ends)
    middle = (generator.E_f.maps(first) + generator.E_f.maps(second)) / 2
    d_e, d_n = generator.E_e.maps(one), generator.still_noise(one)
    torch.testing.assert_close(made["β = 0.5"], generator.decode(middle, d_e, d_n).detach())


def test_rows_go_from_each_end_to_the_next():
    stays, first, second = figures.pairs(torch.arange(2), torch.arange(10, 14))
    assert stays.tolist() == [0, 1, 0]
    assert first.tolist() == [10, 11, 12] and second.tolist() == [11, 12, 13]
    with pytest.raises(UserError, match="needs two pictures"):
        figures.pairs(torch.arange(2), torch.arange(1))


class OnePlace:
    """Instead of MTCNN: the same landmarks in every picture that is not dark."""

    def landmarks(self, picture):
        return POINTS if picture.mean() > 20 else None


@pytest.mark.slow
def test_each_figure_is_one_command_of_folders_or_files(run, tiny_data, tmp_path, monkeypatch):
    monkeypatch.setattr(train.data.pictures, "FaceFinder", OnePlace)
    for index in range(2):
        save_picture(tmp_path / f"{index}.png", index)
    files = [str(tmp_path / "0.png"), str(tmp_path / "1.png")]
    arguments = ["--run", str(run), "--data", str(tiny_data), "--count", "2"]
    for figure, name in (
        ("tdgan-transfer", "transfer"),
        ("tdgan-expressions", "expressions"),
        ("tdgan-faces", "interpolated-faces"),
    ):
        assert main(["visualize", figure, *arguments]) == 0
        assert (run / f"{name}-validation.png").read_bytes()[:4] == PNG
    path = tmp_path / "files.png"
    more = ["--face-files", *files, "--files", files[0], "--output", str(path)]
    assert main(["visualize", "tdgan-transfer", *arguments, *more]) == 0
    assert path.read_bytes()[:4] == PNG


@pytest.mark.parametrize(
    ("was", "now"), [('"gan": true', '"gan": false'), ('"tdgan"', '"baseline"')]
)
def test_other_runs_have_no_generator(run, tmp_path, was, now, capsys):
    (tmp_path / "config.json").write_text((run / "config.json").read_text().replace(was, now))
    assert main(["visualize", "tdgan-faces", "--run", str(tmp_path)]) == 1
    assert "that has no generator" in capsys.readouterr().err


def test_a_picture_without_a_face_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr(train.data.pictures, "FaceFinder", OnePlace)
    save_picture(tmp_path / "face.png", 0)
    assert train.data.pictures.read_faces([tmp_path / "face.png"]).shape == (1, 112, 112, 3)
    monkeypatch.setattr(OnePlace, "landmarks", lambda self, picture: None)
    with pytest.raises(UserError, match="face.png: MTCNN finds no face"):
        train.data.pictures.read_faces([tmp_path / "face.png"])
