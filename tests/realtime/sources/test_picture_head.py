"""Small files that would cost much before a pixel is decoded."""

from io import BytesIO

import pytest
from PIL import Image

from realtime.sources.picture_head import too_much_beside
from realtime.sources.pictures import PictureError, is_picture, read_picture
from realtime.web.checks import PICTURE
from tests.realtime.hostile.costly import COSTLY, saved


@pytest.mark.parametrize("name", COSTLY)
def test_costly_files_are_refused_before_they_are_opened(name, monkeypatch):
    data = COSTLY[name]()
    if name == "EXIF in a JPEG":  # a piece of 64 kB holds so much in larger tags alone
        monkeypatch.setattr("realtime.sources.picture_head.MOST_BESIDE", 1 << 20)
    assert too_much_beside(BytesIO(data))
    monkeypatch.setattr("PIL.Image.open", lambda *a, **k: pytest.fail("opened"))
    with pytest.raises(PictureError, match="beside its pixels"):
        read_picture(data, PICTURE)


def test_such_a_file_is_still_taken_for_a_picture(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(COSTLY["EXIF in a PNG"]())
    assert is_picture(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM"])
def test_usual_files_are_taken(kind):
    exif = Image.Exif()
    exif[0x010E] = "A picture" * 1000
    options = {} if kind in ("BMP", "PPM") else {"exif": exif}
    assert not too_much_beside(BytesIO(saved(kind, **options)))


def test_a_large_ppm_with_a_comment_is_taken():
    assert not too_much_beside(BytesIO(b"P6\n# a comment\n300 300\n255\n" + bytes(270000)))


@pytest.mark.parametrize("start", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0+", b"P"])
def test_what_ends_early_is_left_to_the_reader(start):
    assert not too_much_beside(BytesIO(start))
