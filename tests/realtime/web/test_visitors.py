import pytest

from realtime.web import visitors as module
from realtime.web.visitors import Visitors


@pytest.fixture
def visitors(tmp_path):
    return Visitors(tmp_path)


def upload(tmp_path, name="upload.png"):
    path = tmp_path / name
    path.write_bytes(b"picture")
    return path


def test_files_go_with_the_visitor(visitors, tmp_path):
    with visitors.visitor("a").results() as folder:
        (folder / "result.csv").write_text("x")
    visitors.uploaded("a", upload(tmp_path))
    visitors.leave("a")
    assert list(tmp_path.iterdir()) == [] and len(visitors) == 0
    visitors.leave("a")


def test_what_two_visitors_sent_stays_for_the_second(visitors, tmp_path):
    path = upload(tmp_path)
    for name in "ab":
        visitors.uploaded(name, path)
    visitors.leave("a")
    assert path.exists()
    visitors.leave("b")
    assert not path.exists()


def test_what_belongs_to_all_is_kept(visitors, tmp_path):
    path = upload(tmp_path)
    visitors.keep([path])
    visitors.uploaded("a", path)
    visitors.leave("a")
    assert path.exists()


def test_no_other_way_to_a_file_of_all_deletes_it(visitors, tmp_path):
    path = upload(tmp_path)
    visitors.keep([path])
    (tmp_path / "folder").mkdir()
    visitors.uploaded("a", tmp_path / "folder" / ".." / path.name)
    visitors.leave("a")
    assert path.exists()


def test_who_names_a_folder_still_loses_the_files(visitors, tmp_path):
    path, folder = upload(tmp_path), tmp_path / "folder"
    folder.mkdir()
    for named in (folder, path):
        visitors.uploaded("a", named)
    visitors.leave("a")
    assert folder.exists() and not path.exists()


def test_results_go_where_the_work_fails(visitors, tmp_path):
    with pytest.raises(ValueError, match="no good"), visitors.visitor("a").results() as folder:
        raise ValueError("no good")
    assert not folder.exists()


def test_a_visitor_who_leaves_in_the_middle_leaves_nothing(visitors, tmp_path):
    visitor = visitors.visitor("a")
    stop = visitor.new_job()
    with visitor.results() as folder:
        visitors.leave("a")
        assert stop.is_set()
        (folder / "late.csv").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_a_new_job_stops_the_one_before(visitors):
    first = visitors.visitor("a").new_job()
    second = visitors.visitor("a").new_job()
    assert first.is_set() and not second.is_set()


def test_the_oldest_visitor_makes_room(visitors, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    with visitors.visitor("a").results() as folder:
        pass
    for name in "bc":
        visitors.visitor(name)
    assert len(visitors) == 2 and not folder.exists()


def test_who_was_here_last_stays(visitors, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    with visitors.visitor("active").results() as folder:
        pass
    visitors.visitor("silent")
    visitors.visitor("active")
    visitors.visitor("new")
    assert folder.exists() and set(visitors._visitors) == {"active", "new"}


def test_who_comes_again_and_again_puts_only_oneself_out(visitors, monkeypatch):
    monkeypatch.setattr(module, "MOST", 4)
    visitors.visitor("quiet", "192.0.2.1")
    for number in range(10):
        visitors.visitor(f"loud{number}", "192.0.2.2")
    assert set(visitors._visitors) == {"quiet", "loud7", "loud8", "loud9"}
