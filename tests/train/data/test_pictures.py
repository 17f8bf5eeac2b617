import json
import zipfile

import cv2
import numpy as np
import pytest

from realtime.align import TEMPLATE
from tests.train.made_up import POINTS, points_of_68, save_picture
from train.data import pictures as pictures_module
from train.data.find_faces import FaceFinder
from train.data.pictures import (  # fmt: skip
    Picture,
    aligned_face,
    average_landmarks,
    decode_picture,
    five_of_68,
    hold_out,
    one_hot,
    read_picture,
    write_pictures,
)
from train.data.pose_labels import PoseLabels
from train.data.prepared import read_prepared
from train.errors import UserError

CLASSES = ("neutral", "happiness")


def test_pictures_are_read_as_rgb_or_grey(tmp_path):
    red = np.zeros((5, 7, 3), np.uint8)
    red[:, :, 2] = 200  # OpenCV writes BGR
    cv2.imwrite(str(tmp_path / "red.png"), red)

    assert read_picture(tmp_path / "red.png", grey=False)[0, 0].tolist() == [200, 0, 0]
    assert read_picture(tmp_path / "red.png", grey=True).shape == (5, 7, 1)
    with pytest.raises(UserError, match="has no blue.png"):
        read_picture(tmp_path / "blue.png", grey=True)
    for content in (b"", b"no picture"):
        with pytest.raises(UserError, match="face 7 is not a readable picture"):
            decode_picture(content, True, "face 7")


def test_five_of_68():
    np.testing.assert_allclose(five_of_68(points_of_68(POINTS)), POINTS)


def test_one_hot_votes():
    assert one_hot("happiness", CLASSES) == (0, 1) and one_hot("", CLASSES) == (0, 0)


def test_the_average_is_taken_in_units_of_the_frames():
    frames = np.array([[0.0, 0, 100, 200], [50, 50, 100, 100]])
    relative = np.linspace(0.1, 0.9, 10).reshape(5, 2)
    sizes = np.array([[100, 200], [50, 50]])
    landmarks = frames[:, None, :2] + relative * sizes[:, None]

    np.testing.assert_allclose(average_landmarks(frames, landmarks), relative)
    nothing = average_landmarks(np.empty((0, 4)), np.empty((0, 5, 2)))
    np.testing.assert_allclose(nothing * 112, TEMPLATE)


def test_a_turned_picture_is_turned_back():
    turn = cv2.getRotationMatrix2D((50, 50), -20, 1.0)  # OpenCV counts counter-clockwise
    points = POINTS @ turn[:, :2].T + turn[:, 2]

    _, rotation = aligned_face(np.zeros((100, 100, 3), np.uint8), points)

    # The landmarks were turned clockwise by 20°, so alignment turns counter-clockwise.
    assert rotation == pytest.approx(-20, abs=0.5)


def some(count, split="train"):
    return [Picture(f"{i}.png", split, CLASSES[i % 2], None) for i in range(count)]


def test_held_out_pictures_depend_on_ids_and_seed_alone():
    def moved(pictures, seed=0):
        held = hold_out(pictures, 0.25, seed, "validation")
        return {p.id for p in held if p.split == "validation"}

    assert moved(some(40)) == moved(some(40)[::-1]) != moved(some(40), seed=1)
    labels = [int(name.removesuffix(".png")) % 2 for name in moved(some(40))]
    assert len(labels) == 10 and sum(labels) == 5, "the same share of each class"
    assert not moved(some(40, split="test")), "only training pictures are held out"
    with pytest.raises(UserError, match="between 0 and 1, not 1.5"):
        hold_out(some(4), 1.5, 0, "validation")


class FakeFinder:
    """Finds a face in every picture that is wider than 90 pixels."""

    def landmarks(self, picture, box=None):
        return POINTS if picture.shape[1] > 90 else None


def test_a_face_that_is_not_found_gets_the_average_crop(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pictures_module, "FaceFinder", FakeFinder)
    for index, size in enumerate((100, 100, 50)):
        save_picture(tmp_path / f"{index}.png", index, size)
    pictures = [Picture(f"{i}.png", "train", "neutral", tmp_path / f"{i}.png") for i in range(3)]

    class Known(PoseLabels):
        name = "made up"

        def angles(self, picture_id, face, rotation):
            return (1.0, 2.0, 3.0)

    write_pictures("made up", CLASSES, pictures, tmp_path / "out", Known(), True, True)

    data = read_prepared(tmp_path / "out")
    assert data.pose_trusted.tolist() == [True, True, False]
    assert "found 2 of 3" in capsys.readouterr().out
    # The average of two equal faces, in a picture of half the size: half the positions.
    expected, _ = aligned_face(read_picture(tmp_path / "2.png", grey=True), POINTS / 2)
    np.testing.assert_array_equal(data.faces[2], expected)
    assert json.loads((tmp_path / "out/prepared.json").read_text())["pose_from"] == "made up"


def test_landmarks_on_one_point_name_the_picture(tmp_path):
    save_picture(tmp_path / "a.png", 0)
    picture = Picture("a.png", "train", "neutral", tmp_path / "a.png", np.full((5, 2), 9.0))
    with pytest.raises(UserError, match="a.png: The landmarks all lie on one point"):
        write_pictures("x", CLASSES, [picture], tmp_path / "out", PoseLabels(), True, True)
    with pytest.raises(UserError, match="not one picture"):
        write_pictures("x", CLASSES, [], tmp_path / "out", PoseLabels(), True, True)


@pytest.fixture(scope="module")
def two_faces(shared_data):
    """Two ORL faces side by side in RGB, the right one larger."""
    with zipfile.ZipFile(shared_data / "orl_faces" / "orl_faces.zip") as archive:
        listed = archive.namelist()
        names = [next(n for n in listed if n.endswith(end)) for end in ("s1/1.pgm", "s2/1.pgm")]
        left, right = (decode_picture(archive.read(name), False, name) for name in names)
    right = cv2.resize(right, None, fx=1.6, fy=1.6)
    canvas = np.full((260, 420, 3), 90, np.uint8)
    canvas[40 : 40 + left.shape[0], 30 : 30 + left.shape[1]] = left
    canvas[40 : 40 + right.shape[0], 200 : 200 + right.shape[1]] = right
    return canvas


def test_the_face_in_the_box_or_the_largest_is_found(two_faces):
    finder = FaceFinder()

    largest, boxed = finder.landmarks(two_faces), finder.landmarks(two_faces, (30, 40, 122, 152))

    assert largest.shape == (5, 2) and (largest[:, 0] > 200).all()
    assert (boxed[:, 0] < 130).all()
    for points in (largest, boxed):
        assert points[0, 0] < points[2, 0] < points[1, 0] and points[0, 1] < points[3, 1]
    assert finder.landmarks(two_faces, (0, 200, 20, 260)) is None, "no face in this box"


def test_no_face_and_a_tiny_picture_give_none():
    finder = FaceFinder()

    assert finder.landmarks(np.full((120, 120, 3), 128, np.uint8)) is None
    assert finder.landmarks(np.zeros((8, 40, 3), np.uint8)) is None
