"""Which videos there are, and what they are called."""

import pytest

from realtime.many.corpus import find_videos
from realtime.sources.frame import SourceError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.mp4", "deep/down/b.MKV", "deep/a.mp4", "deep/.hidden.mp4", "c.txt", "d"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * len(name))
    return tmp_path / "in"


def names(*sources) -> list[str]:
    return sorted(video.name for video in find_videos(sources))


def test_a_folder_with_all_below_it(folder):
    assert names(folder) == ["a.mp4", "deep/a.mp4", "deep/down/b.MKV"]
    assert find_videos([folder])[0].name == "deep/down/b.MKV"  # the largest


def test_files_are_taken_whatever_their_ending_and_once(folder):
    assert names(folder / "d", folder / "a.mp4", folder / "a.mp4") == ["a.mp4", "d"]
    assert names(folder, folder / "deep/a.mp4") == ["a.mp4", "deep/a.mp4", "deep/down/b.MKV"]


def test_patterns_are_named_from_their_first_steady_folder(folder):
    assert names(f"{folder}/*/a.mp4") == ["deep/a.mp4"]
    assert names(f"{folder}/**/*.[mM]*") == ["a.mp4", "deep/a.mp4", "deep/down/b.MKV"]
    assert names(f"{folder}/dee?") == ["deep/a.mp4", "deep/down/b.MKV"]


def test_a_file_whose_name_looks_like_a_pattern(folder):
    (folder / "[x].mp4").write_bytes(b"x")
    assert names(folder / "[x].mp4") == ["[x].mp4"]


def test_two_videos_that_would_have_one_file(folder):
    with pytest.raises(SourceError, match=r"would both be written to a\.mp4\.parquet: give"):
        find_videos([folder / "a.mp4", folder / "deep/a.mp4"])


@pytest.mark.parametrize(
    ("source", "words"),
    [("missing", "does not exist"), ("*.avi", "holds no videos"), ("rtsp://x/y", "is no file")],
)
def test_sources_without_videos(source, words, folder):
    with pytest.raises(SourceError, match=words):
        find_videos([source if "://" in source else folder / source])
