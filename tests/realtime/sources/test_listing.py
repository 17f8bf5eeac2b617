"""What a user or a program gives → single sources."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from realtime.sources.frame import SourceError
from realtime.sources.given import GivenFrames
from realtime.sources.listing import listed

PICTURE = np.zeros((20, 30, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    for name in ("10.mp4", "9.MP4", "deep/er/a.webm", ".hidden.mp4", ".git/b.mp4", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("nothing")
    (tmp_path / "empty").mkdir()
    return tmp_path


def names(folder, given):
    return [os.path.relpath(single, folder) for single in listed(given)]


def test_a_folder_is_the_videos_in_it_and_below_in_natural_order(folder):
    assert names(folder, folder) == ["9.MP4", "10.mp4", "deep/er/a.webm"]


def test_pictures_of_a_folder_are_one_source_before_its_videos(folder):
    Image.fromarray(PICTURE).save(folder / "a.png")
    assert names(folder, str(folder)) == [".", "9.MP4", "10.mp4", "deep/er/a.webm"]


def test_a_pattern_is_what_it_matches(folder):
    assert names(folder, f"{folder}/*.[mM][pP]4") == ["9.MP4", "10.mp4"]
    assert names(folder, f"{folder}/**/*.webm") == ["deep/er/a.webm"]
    assert names(folder, f"{folder}/d*") == ["deep/er/a.webm"], "a folder that matches"


def test_a_name_with_the_signs_of_a_pattern_is_taken_as_it_is(tmp_path):
    odd = tmp_path / "clip[1].mp4"
    odd.touch()
    (tmp_path / "clip1.mp4").touch()
    assert listed(odd) == [str(odd)]


def test_a_list_keeps_its_order_and_its_pictures_are_one_source(folder):
    video = folder / "10.mp4"
    given = [video, PICTURE, Image.fromarray(PICTURE), 0, "1", "-", "rtsp://host/x", np.int64(2)]
    first, pictures, *rest = listed(given)
    assert first == str(video) and rest == [0, "1", "-", "rtsp://host/x", 2]
    assert isinstance(pictures, GivenFrames) and pictures.frames == 2


@pytest.mark.parametrize("frames", [[PICTURE] * 4, iter([PICTURE] * 4), np.stack([PICTURE] * 4)])
def test_frames_of_a_video(frames):
    (video,) = listed(frames, fps=25)
    assert not video.still and len(list(video)) == 4


def bad(folder: Path) -> dict:
    return {
        "nothing": ([], ValueError, "list of sources is empty: give a path"),
        "None": (None, TypeError, "None is nothing to look at: give a path, glob"),
        "truth": (True, TypeError, "a bool is nothing to look at"),
        "a fraction": (0.5, TypeError, "a float is nothing to look at"),
        "a set": ({"a.mp4"}, TypeError, "a set is nothing to look at"),
        "lists in a list": ([["a.mp4"]], TypeError, "holds no further lists"),
        "an iterator": (iter([PICTURE]), TypeError, r"give list\(…\).*fps=…"),
        "bytes": (b"abc", TypeError, "not bytes: give PIL"),
        "floats": ([PICTURE / 2], TypeError, "of float64 has no known range"),
        "missing": (["gone.mp4"], SourceError, "gone.mp4 does not exist"),
        "no match": (f"{folder}/*.avi", SourceError, "matches no file. Check the pattern"),
        "empty folder": (folder / "empty", SourceError, r"holds no pictures.*a video \(\.3gp"),
        "too long": ("a" * 300, SourceError, "Check the path"),
        "a page": ("https://youtu.be/abc", SourceError, "download that first, as with yt-dlp"),
        "also": ("https://www.youtube.com/watch?v=a", SourceError, "download that first"),
        "the screen": ("screen", SourceError, "The screen is no source: pipe it in"),
        "part of it": ("screen 0 100 100", SourceError, "The screen is no source"),
        "a list of names": (folder / "notes.txt", SourceError, "given one after another instead"),
    }  # fmt: skip


def test_what_is_no_source_is_told_in_one_sentence(folder, subtests):
    for name, (given, kind, words) in bad(folder).items():
        with subtests.test(name), pytest.raises(kind, match=words) as caught:
            listed(given)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "fps", "kind", "words"),
    [
        ([PICTURE], 0, ValueError, "fps=0: give the frames a second"),
        ([PICTURE], float("nan"), ValueError, "fps=nan"),
        ("clip.mp4", 25, TypeError, "fps=… goes with frames"),
        (PICTURE, 25, TypeError, "fps=… goes with frames"),
        (0, 25, TypeError, "fps=… goes with frames"),
        ([], 25, ValueError, "no picture among what was given"),
        (["clip.mp4"], 25, TypeError, "not a str: give uint8"),
    ],
)
def test_frames_that_are_none(given, fps, kind, words):
    with pytest.raises(kind, match=words):
        listed(given, fps=fps)
