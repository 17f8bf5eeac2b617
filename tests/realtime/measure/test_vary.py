"""Pictures as a webcam would have taken them a moment later."""

import numpy as np

from realtime.align import TEMPLATE
from realtime.measure.vary import exposed, moved_and_lit, turned_head
from tests.realtime.support.media import dots, middle


def test_a_head_that_does_not_turn_stays_as_it_is():
    picture = dots(TEMPLATE)
    difference = turned_head(picture, TEMPLATE, 0, 0).astype(int) - picture
    assert np.abs(difference).max() <= 2


def test_the_nose_goes_where_the_face_turns():
    picture = dots(TEMPLATE[2:3])
    x, y = middle(picture)
    assert middle(turned_head(picture, TEMPLATE, 15, 0))[0] > x + 5
    assert middle(turned_head(picture, TEMPLATE, -15, 0))[0] < x - 5
    assert middle(turned_head(picture, TEMPLATE, 0, 12))[1] < y - 4


def test_half_a_stop_is_half_a_stop():
    grey = np.full((4, 4, 3), 100, np.uint8)
    ratio = (exposed(grey, 0.5) / 255.0) ** 2.2 / (grey / 255.0) ** 2.2
    np.testing.assert_allclose(ratio, 2**0.5, rtol=0.02)


def test_variants_differ_and_repeat_with_their_seed():
    picture = dots(TEMPLATE)
    one, two = (moved_and_lit(picture, np.random.default_rng(3), 4, 2) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (one != moved_and_lit(picture, np.random.default_rng(4), 4, 2)).any()
