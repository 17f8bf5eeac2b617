"""The measurement of faults itself, each kind of source once and in short."""

from itertools import islice

import pytest

from realtime.sources.open import open_source
from tests.realtime.faults import Options, camera_fault, stream_fault
from tests.realtime.support.paths import CLIP


@pytest.mark.slow
@pytest.mark.parametrize(
    ("of", "state"),
    [
        (camera_fault, "busy"),
        (camera_fault, "slow"),
        (stream_fault, "lost"),
    ],
)
def test_a_fault_is_said_within_two_seconds_and_the_recording_goes_on(of, state):
    with open_source(CLIP) as source:
        pictures = [frame.image for frame in islice(source, 50)]
    measured = of(state, pictures, Options(times=1, seconds=(2.5, 2.5)))
    assert len(measured.said) == len(measured.back) == measured.recorded == 1
    assert measured.said[0] < 2
    assert measured.back[0] < (2.5 if state != "lost" else 7)
