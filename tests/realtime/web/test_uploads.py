"""How much may be uploaded."""

import os
import shutil

import pytest

from realtime.web import uploads as module
from realtime.web.uploads import Uploads


@pytest.fixture
def uploads(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "EACH", 100)
    monkeypatch.setattr(module, "TOTAL", 250)
    return Uploads(tmp_path)


def upload(uploads, address, size):
    """One that comes through, or the words in which it was refused."""
    problem = uploads.begin(address, size)
    if problem:
        return problem
    path = uploads._folder / f"{address}-{size}-{len(list(uploads._folder.iterdir()))}"
    path.write_bytes(bytes(size))
    uploads.end(address, size, [path])
    return path


def test_each_visitor_has_a_quota_that_comes_back_with_the_files(uploads):
    path = upload(uploads, "a", 60)
    assert "You have" in upload(uploads, "a", 60)
    assert upload(uploads, "b", 60).exists()
    path.unlink()
    assert upload(uploads, "a", 60).exists()


def test_what_is_on_its_way_counts(uploads):
    assert uploads.begin("a", 60) is None
    assert "You have" in uploads.begin("a", 60)
    uploads.end("a", 60, [])
    assert uploads.begin("a", 60) is None


def test_all_together_have_a_quota(uploads):
    for address in "abcd":
        upload(uploads, address, 60)
    assert "no room" in upload(uploads, "e", 60)
    assert uploads.begin("e", 10) is None


def test_what_is_left_of_an_upload_that_broke_off_goes(uploads, tmp_path):
    assert uploads.begin("a", 60) is None and uploads.begin("b", 60) is None
    part = tmp_path / "tmpabc"
    part.write_bytes(b"half")
    uploads.end("a", 60, [])
    assert part.exists()  # it may be the other's
    uploads.end("b", 60, [])
    assert not part.exists()


def test_a_folder_that_goes_while_bytes_are_counted_does_not_matter(tmp_path, monkeypatch):
    """Another visitor leaves just then."""
    for name in ("stays", "goes"):
        tmp_path.joinpath(name).mkdir()
        tmp_path.joinpath(name, "file").write_bytes(bytes(60))
    scan = os.scandir

    def scandir(path):
        if str(path).endswith("goes"):
            shutil.rmtree(path, ignore_errors=True)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(module, "TOTAL", 100)
    assert Uploads(tmp_path).begin("a", 30) is None
