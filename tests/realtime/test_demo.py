"""The demo: the shipped clip into files, of which none that is there is overwritten."""

import json
from itertools import islice

import pytest

from realtime import demo
from realtime.__main__ import main
from realtime.sources.open import open_source
from tests.realtime.support.media import write_video
from tests.realtime.support.paths import CLIP


@pytest.fixture
def short(monkeypatch, tmp_path_factory):
    """A few frames in place of the clip."""
    with open_source(CLIP) as source:
        images = [frame.image for frame in islice(source, 5)]
    clip = write_video(tmp_path_factory.mktemp("clip") / "short.mp4", images)
    monkeypatch.setattr(demo, "CLIP", clip)


def test_it_writes_into_the_current_folder_and_overwrites_nothing(
    short, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faces.jsonl").write_text("mine")
    assert main(["demo"]) == 0
    assert "Written: annotated-1.mp4 and faces-1.jsonl" in capsys.readouterr().out
    assert main(["demo"]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    made = {f"annotated-{n}.mp4" for n in (1, 2)} | {f"faces-{n}.jsonl" for n in (1, 2)}
    assert names == made | {"faces.jsonl"}
    assert (tmp_path / "faces.jsonl").read_text() == "mine"
    frames = [json.loads(line) for line in (tmp_path / "faces-2.jsonl").open()]
    assert len(frames) == 5 and all(len(frame["faces"]) == 1 for frame in frames)


def test_a_folder_that_is_not_there_is_one_line(short, tmp_path, capsys):
    folder = tmp_path / "missing"
    assert main(["demo", "--folder", str(folder)]) == 1
    printed = capsys.readouterr()
    assert f"create the folder {folder} first" in printed.err and "Written" not in printed.out
    assert not folder.exists()
