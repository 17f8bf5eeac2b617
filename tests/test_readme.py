"""README.md opens with a picture that moves and that everybody can load."""

import re
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]


def test_the_first_picture_moves_for_ever_and_is_small():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    picture = re.search(r"^!\[[^\]]+\]\((.+)\)$", text, re.MULTILINE)
    assert picture.start() < text.index("\n## ")
    path = ROOT / picture[1]
    assert path.stat().st_size <= 2 << 20
    with Image.open(path) as moving:
        assert moving.format == "WEBP" and moving.n_frames > 50 and moving.info["loop"] == 0
