from dataclasses import replace

import numpy as np
import pytest

from realtime.faces import EXPRESSIONS, HeadPose
from realtime.smooth import Smoother
from tests.realtime.support.media import face_at

FPS = 30.0


def probabilities(label: str, amount: float = 0.86) -> np.ndarray:
    values = np.full(len(EXPRESSIONS), (1 - amount) / 7, np.float32)
    values[EXPRESSIONS.index(label)] = amount
    return values


def complete(label="neutral", yaw=0.0, x=100.0, track_id=0):
    face = replace(face_at(x, 100), track_id=track_id)
    return replace(face, expression=probabilities(label), pose=HeadPose(yaw, 0.0, 0.0))


def noisy(random):
    face = complete()
    expression = np.clip(face.expression + random.normal(0, 0.1, 8), 0.01, None)
    return replace(
        face,
        box=face.box + random.normal(0, 1, 4).astype(np.float32),
        landmarks=face.landmarks + random.normal(0, 1, (5, 2)).astype(np.float32),
        expression=(expression / expression.sum()).astype(np.float32),
        pose=HeadPose(*random.normal(0, 2, 3)),
    )


def test_noise_on_a_still_face_is_much_reduced():
    random, smoother = np.random.default_rng(0), Smoother()
    raw = [noisy(random) for _ in range(300)]
    smooth = [smoother.update([face], i / FPS)[0] for i, face in enumerate(raw)]

    def spread(faces, value):
        return np.std([value(face) for face in faces[30:]], axis=0).mean()

    for value in (
        lambda face: face.box,
        lambda face: face.landmarks,
        lambda face: face.expression,
        lambda face: [face.pose.yaw, face.pose.pitch, face.pose.roll],
    ):
        assert spread(smooth, value) < 0.5 * spread(raw, value)


def test_a_quick_change_shows_within_150_ms():
    smoother = Smoother()
    for i in range(60):
        smoother.update([complete("neutral")], i / FPS)
    shown = [smoother.update([complete("surprise", yaw=30.0)], (60 + i) / FPS)[0] for i in range(5)]

    assert shown[4].label == "surprise", "the fifth frame is 133 ms after the first"
    assert shown[4].pose.yaw > 20


def test_a_moving_face_is_not_left_behind():
    smoother = Smoother()
    for i in range(60):
        face = complete(x=100 + 5 * i)
        (smooth,) = smoother.update([face], i / FPS)
    assert abs(smooth.box - face.box).max() < 0.1 * face.size


def test_probabilities_still_sum_to_one():
    random, smoother = np.random.default_rng(1), Smoother(strength=3)
    for i in range(50):
        (face,) = smoother.update([noisy(random)], i / FPS)
        assert face.expression.sum() == pytest.approx(1, abs=1e-5)
        assert (face.expression >= 0).all()


def test_strength_zero_changes_nothing():
    faces = [complete("fear"), complete("anger", track_id=1)]
    assert Smoother(strength=0).update(faces, 0.0) is faces


def test_each_id_is_smoothed_by_itself():
    smoother = Smoother()
    for i in range(30):
        faces = [complete("fear", x=100, track_id=0), complete("anger", x=400, track_id=1)]
        first, second = smoother.update(faces, i / FPS)
    assert (first.label, second.label) == ("fear", "anger")
    np.testing.assert_allclose(second.box, faces[1].box, atol=1e-3)


def test_smoothing_starts_afresh_after_a_face_was_lost():
    smoother = Smoother()
    for i in range(30):
        smoother.update([complete("fear", yaw=-40)], i / FPS)
    smoother.update([], 1.1)
    (face,) = smoother.update([complete("happiness", yaw=40)], 2.0)

    assert face.label == "happiness" and face.pose.yaw == pytest.approx(40)


def test_a_strength_below_zero_is_refused():
    with pytest.raises(ValueError, match="0 or more"):
        Smoother(-1)


def test_two_about_equal_expressions_do_not_take_turns():
    random, smoother = np.random.default_rng(2), Smoother()
    labels = []
    for i in range(1000):
        expression = np.array([0.4, 0.4, *[0.2 / 6] * 6]) + random.normal(0, 0.04, 8)
        expression = np.clip(expression, 0.01, None).astype(np.float32)
        face = replace(complete(), expression=expression / expression.sum())
        labels.append(smoother.update([face], i / FPS)[0].label)
    assert len(set(labels)) == 1


def test_a_label_gives_way_to_one_that_leads_clearly():
    smoother = Smoother()
    for i in range(30):
        smoother.update([complete("neutral")], i / FPS)
    for i in range(30, 45):
        (face,) = smoother.update([complete("sadness", x=100)], i / FPS)
    assert face.label == "sadness"


def test_one_noisy_frame_of_a_face_read_against_its_rest_does_not_change_its_label():
    """Read so, a single frame can go from surely neutral to surely something else."""
    rest, noisy = (np.eye(8, dtype=np.float32)[label] for label in (0, 1))
    frames = [rest] * 15 + [noisy] + [rest] * 15
    for raw, labels in ((None, {"neutral", "happiness"}), (rest, {"neutral"})):
        smoother = Smoother()
        shown = [
            smoother.update([replace(complete(), expression=frame, raw=raw)], i / 30)[0].label
            for i, frame in enumerate(frames)
        ]
        assert set(shown) == labels
    changed = [noisy] * 5
    after = [
        smoother.update([replace(complete(), expression=frame, raw=rest)], 2 + i / 30)[0].label
        for i, frame in enumerate(changed)
    ]
    assert after[-1] == "happiness"
