"""Opens a source and reads it to its end, good or bad."""

import pytest

from realtime.sources.frame import SourceError
from realtime.sources.open import open_source


def read(spec):
    with open_source(spec) as opened:
        return list(opened)


def read_until_break(spec):
    """The frames that came, and the message of the SourceError that must end them."""
    frames = []
    with open_source(spec) as opened, pytest.raises(SourceError) as caught:
        for frame in opened:
            frames.append(frame)
    return frames, one_line(caught)


def one_line(caught):
    message = str(caught.value)
    assert message and "\n" not in message
    return message


def refused(spec):
    with pytest.raises(SourceError) as caught:
        read(spec)
    return one_line(caught)
