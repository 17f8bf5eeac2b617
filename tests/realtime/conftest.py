"""Fixtures for the tests of the application."""

from pathlib import Path

import av
import pytest

from tests.realtime.support.media import write_video
from tests.realtime.support.paths import CLIP


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory) -> Path:
    """The first second of the astronaut."""
    with av.open(str(CLIP)) as video:
        frames = zip(video.decode(video=0), range(25), strict=False)
        images = [frame.to_ndarray(format="rgb24") for frame, _ in frames]
    return write_video(tmp_path_factory.mktemp("short") / "short.mp4", images)
