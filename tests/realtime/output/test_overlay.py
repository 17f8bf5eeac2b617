import threading
from dataclasses import replace

import numpy as np
import pytest

from realtime.capture import DONE, LOOK, Progress
from realtime.faces import EXPRESSIONS, Face, HeadPose
from realtime.output.overlay import AXIS_COLORS, COLORS, draw, draw_axes
from realtime.output.ring import FULL, draw_ring
from tests.realtime.support.media import make_face

BACKGROUNDS = [0, 128, 255]


def canvas(width=640, height=480, value=128):
    return np.full((height, width, 3), value, np.uint8)


def pixels_like(image, color, tolerance=12):
    """x, y of the pixels that have this colour."""
    near = np.abs(image.astype(int) - color).max(axis=2) <= tolerance
    rows, columns = np.nonzero(near)
    return np.stack([columns, rows], axis=1)


def test_draws_into_the_image_it_was_given():
    image = canvas()
    assert draw(image, [make_face((320, 240), 160)], fps=25.0) is image
    assert (image != 128).any()


def test_nothing_to_draw_changes_nothing():
    assert (draw(canvas(), []) == 128).all()


@pytest.mark.parametrize("size", [(320, 180), (640, 480), (1920, 1080)])
def test_a_long_note_is_wrapped_into_the_picture(size):
    words = "Camera 0 could not be opened. It is there: close the program that uses it. " * 2
    image = canvas(*size)
    draw(image, [], note=words)
    rows, columns = np.nonzero((image != 128).any(axis=2))
    assert 0.5 * size[0] < columns.max() < size[0] - 1 and rows.max() < size[1] - 1
    short = canvas(*size)
    draw(short, [], note="Camera 0")
    assert rows.min() < np.nonzero((short != 128).any(axis=2))[0].min(), "in more than one line"


@pytest.mark.parametrize(
    ("pose", "axis", "direction"),
    [
        ((0, 0, 0), 0, (1, 0)),  # x: to the right
        ((0, 0, 0), 1, (0, -1)),  # y: up, against the rows
        ((60, 0, 0), 2, (1, 0)),  # z: where the nose points, right
        ((0, 60, 0), 2, (0, -1)),  # looking up
        ((-60, 0, 0), 2, (-1, 0)),
        ((0, 0, 90), 1, (1, 0)),  # tilted clockwise: the top of the head to the right
        ((0, 0, 90), 0, (0, 1)),
    ],
)
def test_axes_point_where_the_pose_says(pose, axis, direction):
    image = canvas()
    origin = np.array([320.0, 240.0])
    draw_axes(image, origin, HeadPose(*pose), 100)
    found = pixels_like(image, AXIS_COLORS[axis]) - origin
    along, across = found @ direction, found @ [-direction[1], direction[0]]
    shown = 100 * np.linalg.norm(HeadPose(*pose).matrix()[:2, axis])
    assert along.max() == pytest.approx(shown, abs=8)
    assert along.min() > -8 and np.abs(across).max() < 8


def test_axis_toward_the_camera_covers_the_others():
    image = canvas()
    draw_axes(image, np.array([320.0, 240.0]), HeadPose(0, 0, 0), 100)
    assert tuple(image[240, 320]) == AXIS_COLORS[2]


def test_pose_can_be_hidden():
    face = make_face((320, 240), 160)
    shown, hidden = draw(canvas(), [face]), draw(canvas(), [face], show_pose=False)
    assert len(pixels_like(shown, AXIS_COLORS[1], 4)) > 50
    assert len(pixels_like(hidden, AXIS_COLORS[1], 4)) == 0


def test_bars_are_as_long_as_the_probabilities():
    face = make_face((200, 240), 240, label=1, probability=0.5)
    expression = np.array([0.25, 0.5, 0, 0, 0, 0, 0.25, 0], np.float32)
    face = Face(face.box, face.score, face.landmarks, 0, expression, None)
    image = draw(canvas(value=0), [face])
    beside = image[:, int(face.box[2]) + 20 :]
    lengths = {}
    for name in ("neutral", "happiness", "fear"):
        found = pixels_like(beside, COLORS[name], 6)[:, 0]
        lengths[name] = found.max() - found.min() + 1
    assert lengths["neutral"] == pytest.approx(lengths["happiness"] / 2, rel=0.12)
    assert lengths["fear"] == pytest.approx(lengths["happiness"] / 2, rel=0.12)
    assert len(pixels_like(beside, COLORS["anger"], 6)) == 0


def test_the_percentage_and_the_bright_bar_are_those_of_the_held_label(monkeypatch):
    """Neutral is held at 40 % although happiness has 46 %."""
    words = []

    def note_down(image, text, x, y, size, color, weight=600):
        words.append((text, weight))

    monkeypatch.setattr("realtime.output.overlay.draw_text", note_down)
    face = make_face((200, 240), 240)
    expression = np.array([0.40, 0.46, 0.14, 0, 0, 0, 0, 0], np.float32)
    draw(canvas(), [replace(face, expression=expression, held_label="neutral")])
    texts = [text for text, _ in words]
    assert texts[:3] == ["#0", "neutral", "40 %"] and "46 %" not in texts
    assert [text for text, weight in words[3:] if weight == 600] == ["neutral"]


@pytest.mark.parametrize("center", [(120, 240), (520, 240)])
def test_bars_stand_where_there_is_room(center):
    face = make_face(center, 200)
    changed = draw(canvas(), [face], show_pose=False) != 128
    columns = np.nonzero(changed.any(axis=(0, 2)))[0]
    if center[0] < 320:
        assert columns.max() > face.box[2] + 80
    else:
        assert columns.min() < face.box[0] - 80


@pytest.mark.parametrize("value", BACKGROUNDS)
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_box_stands_out_from_any_background(value, name):
    """Some of what is drawn differs strongly from the background in brightness."""
    face = make_face((320, 240), 160, label=EXPRESSIONS.index(name))
    image = draw(canvas(value=value), [face], show_pose=False)
    edge = image[:, int(face.box[0]) - 3 : int(face.box[0]) + 4].mean(axis=2)
    assert np.abs(edge - value).max() > 90


@pytest.mark.parametrize(("width", "height"), [(640, 360), (1920, 1080), (3840, 2160)])
def test_scales_with_the_frame(width, height):
    """The same scene takes about the same share of a frame of any size."""
    face = make_face((width / 2, height / 2), height / 3)
    image = draw(canvas(width, height), [face], fps=30)
    share = (image != 128).any(axis=2).mean()
    assert 0.06 < share < 0.2


def test_crowd_keeps_its_faces_free():
    """Plates of one face cover no other face; only its own box and axes lie on it."""
    faces = [
        make_face((160 + 300 * column, 200 + 330 * row), 150, track_id=6 * row + column)
        for row in range(3)
        for column in range(6)
    ]
    image = draw(canvas(1920, 1080), faces, show_pose=False)
    for face in faces:
        x1, y1, x2, y2 = face.box.astype(int)
        inner = image[y1 + 25 : y2 - 25, x1 + 25 : x2 - 25]
        assert (inner == 128).all()


def test_bare_face_is_just_a_box():
    face = make_face((320, 240), 160)
    image = draw(canvas(), [Face(face.box, face.score, face.landmarks)])
    rows, columns = np.nonzero((image != 128).any(axis=2))
    x1, y1, x2, y2 = face.box
    assert columns.min() >= x1 - 5 and columns.max() <= x2 + 5
    assert rows.min() >= y1 - 5 and rows.max() <= y2 + 5


@pytest.mark.parametrize("center", [(0, 0), (639, 479), (-500, 100), (320, 240)])
@pytest.mark.parametrize("size", [2, 60, 2000])
def test_faces_over_the_border_and_of_any_size(center, size):
    draw(canvas(), [make_face(center, size)], fps=5, note="recording")


@pytest.mark.parametrize("size", [(16, 16), (33, 400), (400, 33)])
def test_tiny_frames(size):
    draw(canvas(*size), [make_face((8, 8), 14)], fps=1234.5, note="a long note that never fits")


def test_threads_draw_the_same():
    face = make_face((200, 240), 160)
    expected = draw(canvas(), [face], fps=30)
    wrong = []

    def work():
        for _ in range(60):
            if not np.array_equal(draw(canvas(), [face], fps=30), expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def bar_length(image, name, face):
    beside = image[:, int(face.box[2]) + 20 :]
    found = pixels_like(beside, COLORS[name])
    return np.ptp(found[:, 0]) if len(found) else 0


def test_bars_are_as_long_as_the_intensity_where_there_is_one():
    face = replace(make_face((200, 240), 240, probability=0.9), pose=None)
    intensity = np.array([0.75, 0.25, 0, 0, 0, 0, 0, 0], np.float32)
    faint = replace(face, raw=face.expression, intensity=intensity, reference="me.json")
    lengths = [bar_length(draw(canvas(value=0), [one]), "happiness", one) for one in (face, faint)]
    assert lengths[1] == pytest.approx(0.25 / 0.9 * lengths[0], abs=0.1 * lengths[0])


def test_the_ring_fills_clockwise_around_the_face_it_captures():
    face, other = make_face((200, 240), 160, track_id=3), make_face((500, 240), 100, track_id=4)
    filled = []
    for share in (0.0, 0.25, 0.5, 1.0):
        image = canvas(value=0)
        draw_ring(image, face, Progress(share, track_id=3), 14)
        x, y = pixels_like(image, FULL).T
        filled.append(len(x))
        if share == 0.25:
            assert (x >= 195).all() and (y <= 245).all(), "the first quarter is at the upper right"
    assert filled[0] == 0 and filled == sorted(filled)
    assert filled[3] == pytest.approx(4 * filled[1], rel=0.15)
    image = draw(canvas(value=0), [face, other], progress=Progress(1.0, DONE, 3))
    ring = pixels_like(image, FULL, 3)
    assert len(ring) > 100 and ring[:, 0].max() < 350


def test_what_to_do_is_said_where_no_face_is_captured_yet():
    plain = draw(canvas(), [])
    assert (draw(canvas(), [], progress=Progress(0.0, LOOK)) != plain).any()
