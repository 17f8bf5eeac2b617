"""Small corpora for the tests, and what became of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as parquet

from realtime.many.table import KEY
from tests.realtime.support.media import cut, scene, write_sound, write_video

BROKEN = ("broken/cut.mp4", "broken/sound.mp4", "broken/text.mp4")


def make_corpus(folder: Path, clip: Path) -> Path:
    """Two videos with a face, one without, one that breaks off, and two that are none."""
    (folder / "broken").mkdir(parents=True)
    shutil.copy(clip, folder / "face.mp4")
    shutil.copy(clip, folder / "again.MP4")
    write_video(folder / "scenery.webm", [scene(index) for index in range(20)], codec="libvpx-vp9")
    long = write_video(
        folder / "broken/cut_.mp4",
        [scene(index) for index in range(60)],
        movflags="faststart",
        options={"g": "10"},
    )
    cut(long, 0.7).rename(folder / "broken/cut.mp4")
    long.unlink()
    (folder / "broken/text.mp4").write_text("This is no video.")
    write_sound(folder / "broken/sound.mp4")
    (folder / "notes.txt").write_text("No video.")
    return folder


def files(output: Path) -> dict[str, bytes]:
    """What lies in a folder of results, hidden things too."""
    found = (path for path in output.rglob("*") if path.is_file())
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in found}


def failures(output: Path) -> dict[str, dict]:
    path = output / "failed.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {line["video"]: line for line in map(json.loads, lines)}


def about(path: Path) -> dict:
    """What the metadata says, read without the program."""
    return json.loads(parquet.read_metadata(path).metadata[KEY])


def children(pid: int) -> list[int]:
    """The processes that this one has started and that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:  # it has ended meanwhile
            continue
        if parent == pid:
            found.append(int(path.parent.name))
    return found
