import pytest

from tests.realtime.support.reading import refused


def test_missing_file(tmp_path):
    assert "missing.mp4 does not exist" in refused(tmp_path / "missing.mp4")


@pytest.mark.parametrize("name", ["a" * 300, "~nobody-of-this-name/clip.mp4"])
def test_a_path_that_cannot_be(name):
    assert "Check the path" in refused(name)


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    def iterdir(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", iterdir)
    assert refused(tmp_path).endswith("cannot be opened: Permission denied.")


@pytest.mark.parametrize("name", ["text.mp4", "text.jpg", "text"])
def test_text_is_no_video(tmp_path, name):
    (tmp_path / name).write_text("This is not a video.\n" * 40)
    assert "neither a video nor a picture" in refused(tmp_path / name)


def test_empty_file(tmp_path):
    (tmp_path / "empty.mp4").touch()
    assert "neither a video nor a picture" in refused(tmp_path / "empty.mp4")
