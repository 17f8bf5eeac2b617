"""Made clips of a smile."""

import numpy as np

from realtime.align import TEMPLATE
from realtime.measure.clips import Morph, heights
from tests.realtime.support.media import dots, middle


def test_a_morph_goes_from_one_face_to_the_other():
    ends = dots(TEMPLATE), dots(TEMPLATE + np.float32([0, 2]))
    morph = Morph(*ends)
    np.testing.assert_array_equal(morph(0.0), ends[0])
    np.testing.assert_array_equal(morph(1.0), ends[1])
    between = middle(morph(0.5))[1]
    assert middle(ends[0])[1] < between < middle(ends[1])[1]


def test_a_clip_rests_grows_holds_and_goes():
    shown = heights(90)
    assert not shown[:90].any() and shown.max() == 1 and (shown == 1).sum() >= 45
