"""Pictures as a webcam would have taken them a moment later."""

import numpy as np

from realtime.align import TEMPLATE
from realtime.measure.vary import exposed, moved_and_lit
from tests.realtime.support.media import dots


def test_half_a_stop_is_half_a_stop():
    grey = np.full((4, 4, 3), 100, np.uint8)
    ratio = (exposed(grey, 0.5) / 255.0) ** 2.2 / (grey / 255.0) ** 2.2
    np.testing.assert_allclose(ratio, 2**0.5, rtol=0.02)


def test_variants_differ_and_repeat_with_their_seed():
    picture = dots(TEMPLATE)
    one, two = (moved_and_lit(picture, np.random.default_rng(3), 4, 2) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (one != moved_and_lit(picture, np.random.default_rng(4), 4, 2)).any()
