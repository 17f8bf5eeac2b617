"""Records that an earlier version wrote of the recorded clip's first frames are still what is read
and written today."""

import csv
import json
import re
import shutil
import subprocess
import sys
from itertools import islice

import pytest

from realtime.output.records import CsvSink, JsonlSink
from realtime.pipeline import open_pipeline
from realtime.sources.open import open_source
from realtime.web.video import timeline_of
from tests.realtime.support.paths import CLIP, ROOT

EARLIER = ROOT / "tests/data/earlier"
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def today(tmp_path_factory):
    """A folder with the records that this version writes of as many frames."""
    folder = tmp_path_factory.mktemp("today")
    frames = len(lines_of(EARLIER / "astronaut.jsonl"))
    with (
        open_pipeline() as pipeline,
        open_source(CLIP) as source,
        JsonlSink(folder / "astronaut.jsonl") as jsonl,
        CsvSink(folder / "astronaut.csv") as rows,
    ):
        for frame in islice(source, frames):
            faces = pipeline.process(frame)
            jsonl.write(frame, faces)
            rows.write(frame, faces)
    return folder


def lines_of(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rows_of(path) -> list[dict]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def same(one, other, where: str) -> None:
    """Names, order, labels and ids are equal; numbers are as near as two processors compute."""
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert list(one) == list(other), where
        for name in one:
            same(one[name], other[name], f"{where} {name}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for index, pair in enumerate(zip(one, other, strict=True)):
            same(*pair, f"{where} {index}")
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=0.1 if "probabilities" in where else 3.0), where
    else:
        assert one == other, where


def test_the_readers_program_of_the_readme_reads_them(tmp_path):
    programs = re.findall(r"```python\n([^`]*)```", README)
    (program,) = (text for text in programs if "out.jsonl" in text)
    shutil.copy(EARLIER / "astronaut.jsonl", tmp_path / "out.jsonl")
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    shown = [line.split() for line in done.stdout.splitlines()]
    assert [(who, label) for _, who, label, _ in shown] == [("0", "happiness")] * len(shown)
    assert [float(time) for time, *_ in shown] == pytest.approx([i / 25 for i in range(12)])


def test_jsonl_is_written_as_it_was(today):
    before, now = (lines_of(folder / "astronaut.jsonl") for folder in (EARLIER, today))
    assert len(before) == 12
    same(now, before, "line")


def test_csv_is_written_as_it_was(today):
    before, now = (rows_of(folder / "astronaut.csv") for folder in (EARLIER, today))
    assert list(before[0]) == list(CsvSink.COLUMNS)
    assert len(before) == 11
    for one, other in zip(now, before, strict=False):  # the earlier one ends with its eleventh row
        assert list(one) == list(other)
        assert [one[name] for name in ("frame", "time", "id", "label")] == [
            other[name] for name in ("frame", "time", "id", "label")
        ]


def test_the_page_draws_them_over_time():
    timeline = timeline_of(EARLIER / "astronaut.jsonl")
    (face,) = timeline["faces"]
    assert face["id"] == 0 and timeline["length"] == pytest.approx(0.44)
    assert {len(sample) for sample in face["samples"]} == {1 + 8 + 3}
