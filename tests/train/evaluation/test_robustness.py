import json
import shutil

import numpy as np
import pytest

from train.__main__ import main
from train.data.prepared import read_prepared
from train.evaluation.robustness import (  # fmt: skip
    CHANGES,
    blur,
    brighten,
    changed_faces,
    darken,
    jpeg,
    measure_robustness,
    occlude,
    report,
    rotate,
    shift,
)


def generator(seed=0):
    return np.random.default_rng(seed)


def dot(row, column, channels=1):
    """A black face with one white square of 3×3 pixels around (row, column)."""
    face = np.zeros((112, 112, channels), np.uint8)
    face[row - 1 : row + 2, column - 1 : column + 2] = 255
    return face


def brightest(face):
    rows, columns = np.nonzero(face[:, :, 0] > 200)
    return rows.mean(), columns.mean()


def test_shift_moves_by_a_tenth_in_all_four_directions():
    found = {brightest(shift(dot(50, 60), generator(seed))) for seed in range(40)}

    assert found == {(50, 71), (50, 49), (61, 60), (39, 60)}


def test_rotation_turns_by_15_degrees_either_way():
    found = {tuple(np.round(brightest(rotate(dot(20, 55), generator(seed))))) for seed in range(20)}

    # 35.5 px above the centre (55.5, 55.5), half a pixel to its left.
    angle = np.radians(15)
    rows = 55.5 - 35.5 * np.cos(angle)
    columns = [55.5 + sign * 35.5 * np.sin(angle) for sign in (-1, 1)]
    assert len(found) == 2
    for (row, column), expected in zip(
        sorted(found, key=lambda place: place[1]), columns, strict=True
    ):
        assert abs(row - rows) < 1.2 and abs(column - expected) < 1.2


def test_blur_spreads_and_keeps_the_light():
    face = dot(56, 56)
    changed = blur(face, generator())

    assert changed.max() < 100
    assert abs(int(changed.sum()) - int(face.sum())) < 0.05 * face.sum()


def test_gamma_by_hand():
    face = np.full((112, 112, 3), 64, np.uint8)
    face[0, 0] = (0, 255, 128)

    assert brighten(face, generator())[5, 5, 0] == round(255 * (64 / 255) ** 0.5)
    assert darken(face, generator())[5, 5, 0] == round(255 * (64 / 255) ** 2)
    assert darken(face, generator())[0, 0].tolist() == [0, 255, 64]


def test_jpeg_keeps_the_colours_in_their_order():
    face = np.zeros((112, 112, 3), np.uint8)
    face[:, :, 0] = 220

    changed = jpeg(face, generator())

    assert np.abs(changed.astype(int) - face).max() < 12
    noise = generator().integers(0, 256, (112, 112, 1), dtype=np.uint8)
    assert np.abs(jpeg(noise, generator()).astype(int) - noise).mean() > 10


def test_occlusion_covers_three_tenths_somewhere_inside():
    face = np.full((112, 112, 1), 7, np.uint8)
    covered = [occlude(face, generator(seed)) == 128 for seed in range(5)]

    assert all(mask.mean() == pytest.approx(0.30, abs=0.005) for mask in covered)
    assert len({mask.tobytes() for mask in covered}) > 1
    assert (face == 7).all(), "the face handed in must stay as it is"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("change", CHANGES.values())
def test_every_change_keeps_shape_and_type_and_repeats_with_its_seed(change, channels):
    faces = generator(3).integers(0, 256, (4, 112, 112, channels), dtype=np.uint8)

    once, again = (changed_faces(faces, change, generator(5)) for _ in range(2))

    assert once.shape == faces.shape and once.dtype == np.uint8
    np.testing.assert_array_equal(once, again)
    assert (once != faces).any()


def test_a_run_is_measured_under_every_change(tiny_run, tiny_data, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)

    result = measure_robustness(run, read_prepared(tiny_data), "test", "data", seed=1, device="cpu")

    conditions = result["conditions"]
    assert list(conditions) == ["clean", *CHANGES] and result["faces"] == 32
    assert conditions["clean"]["accuracy"] > 0.9
    assert conditions["clean"]["accuracy_points_lost"] == 0
    for scores in conditions.values():
        lost = 100 * (conditions["clean"]["accuracy"] - scores["accuracy"])
        assert scores["accuracy_points_lost"] == pytest.approx(lost)
    assert json.loads((run / "robustness-test.json").read_text()) == result
    assert "JPEG quality 30" in report(result)


def test_the_command_names_what_is_missing(tiny_run, tiny_data, capsys):
    arguments = ["robustness", "--run", str(tiny_run), "--data", str(tiny_data)]
    assert main([*arguments, "--prior", "balanced"]) == 1
    assert "--prior balanced needs" in capsys.readouterr().err
