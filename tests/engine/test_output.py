import pytest

from engine import output
from engine.contract import EngineError


def test_writes_all_of_a_file_into_a_new_folder(tmp_path):
    path = tmp_path / "new" / "file.json"
    output.write(path, b"first")
    output.write(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EngineError, match="cannot be written"):
        output.write(tmp_path / "file" / "inside.json", b"content")
    (tmp_path / "folder").mkdir()
    with pytest.raises(EngineError, match="folder cannot be written"):
        output.write(tmp_path / "folder", b"content")
    assert list(tmp_path.glob(".*")) == []


def test_a_name_that_is_too_long(tmp_path):
    for attempt in (output.check_writable, lambda path: output.write(path, b"content")):
        with pytest.raises(EngineError, match="cannot be written: File name too long"):
            attempt(tmp_path / (300 * "a"))
    with pytest.raises(EngineError, match="cannot be written: File name too long"):
        output.check_writable(tmp_path / (300 * "a") / "file.json")


def test_finds_out_beforehand(tmp_path):
    output.check_writable(tmp_path / "file.json")
    with pytest.raises(EngineError, match="is a folder: give a file name"):
        output.check_writable(tmp_path)
    with pytest.raises(EngineError, match="missing does not exist: make it first"):
        output.check_writable(tmp_path / "missing" / "file.json")
