"""Heads that turn."""

import numpy as np
import pytest

from realtime.align import TEMPLATE
from realtime.head import turned_head, turned_landmarks
from tests.realtime.support.media import dots, middle


def test_a_head_that_does_not_turn_stays_as_it_is():
    picture = dots(TEMPLATE)
    difference = turned_head(picture, TEMPLATE, 0, 0).astype(int) - picture
    assert np.abs(difference).max() <= 2


def test_a_grey_picture_keeps_its_channel():
    assert turned_head(dots(TEMPLATE)[:, :, :1], TEMPLATE, 10, 0).shape[2:] == (1,)


def test_the_nose_goes_where_the_face_turns():
    picture = dots(TEMPLATE[2:3])
    x, y = middle(picture)
    assert middle(turned_head(picture, TEMPLATE, 15, 0))[0] > x + 5
    assert middle(turned_head(picture, TEMPLATE, -15, 0))[0] < x - 5
    assert middle(turned_head(picture, TEMPLATE, 0, 12))[1] < y - 4


@pytest.mark.parametrize("turn", [(25, 0), (-40, 0), (10, -12)])
def test_landmarks_go_where_the_picture_shows_them(turn):
    for index in range(5):
        seen = middle(turned_head(dots(TEMPLATE[index : index + 1]), TEMPLATE, *turn))
        assert seen == pytest.approx(turned_landmarks(TEMPLATE, *turn)[index], abs=1.5)


def test_the_far_side_of_a_turned_face_is_narrower():
    left, right, nose = turned_landmarks(TEMPLATE, 35, 0)[:3, 0]
    assert right - nose < 0.75 * (nose - left)
