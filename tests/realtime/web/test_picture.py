"""What is refused before a picture reaches the networks."""

import pytest
from PIL import Image

from realtime.web.checks import Refused
from realtime.web.picture import LONGEST, recognise_picture


@pytest.mark.parametrize("size", [(LONGEST + 1, 20), (20, LONGEST + 1)])
def test_a_picture_too_long_for_a_jpeg(tmp_path, size):
    path = tmp_path / "long.png"
    Image.new("L", size).save(path)
    with pytest.raises(Refused, match="is too long: at most 65500 pixels a side"):
        recognise_picture(path, None, tmp_path)
