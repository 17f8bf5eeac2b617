"""Many videos read against a resting face: the columns that hold it, and what cannot be."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from engine import registry
from engine.contract import EngineError
from realtime import FaceReader
from realtime.__main__ import main
from realtime.faces import EXPRESSIONS
from realtime.many.job import CheckedReading, Job, Reading, checked, made_by
from realtime.many.reader import VideoReader
from realtime.many.run import read_videos
from realtime.many.table import read_table
from realtime.number_file import ReferenceFileError
from realtime.population import Population, population_file
from realtime.reference import Reference
from tests.realtime.many.corpora import about


def rest_of(path):
    """The rest of nobody in particular: what the population's mean is, but known of 50 frames."""
    known = Population.of_file()
    nobody = Reference.of_nobody(known)
    rest = Reference(known, known.rest, nobody.covariance, 50, nobody.pose)
    rest.save(path)
    return rest


def test_the_columns_hold_what_the_records_do(short_clip, tmp_path):
    rest, records, output = tmp_path / "me.json", tmp_path / "records.jsonl", tmp_path / "faces"
    rest_of(rest)
    arguments = ["--source", str(short_clip), "--no-display", "--jsonl", str(records)]
    assert main([*arguments, "--neutral", str(rest)]) == 0
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    expected = [face for line in lines for face in line["faces"]]

    asked = ["videos", str(short_clip), "--output", str(output), "--neutral", str(rest)]
    assert main([*asked, "--workers", "1"]) == 0

    rows = read_table(output / f"{short_clip.name}.parquet").to_pylist()
    assert rows[0]["reference"] == "me.json"
    for row, face in zip(rows, expected, strict=True):
        assert row["label"] == face["expression"]["label"]
        assert row["reference"] == face["reference"]
        for name in EXPRESSIONS:
            assert row[f"raw.{name}"] == pytest.approx(face["raw"][name], abs=2e-4)
            assert row[f"intensity.{name}"] == pytest.approx(face["intensity"][name], abs=1e-3)


def test_faces_without_a_reference_have_nulls(undisturbed):
    row = read_table(undisturbed[0] / "face.mp4.parquet").to_pylist()[0]
    assert row["reference"] is None and row["raw.happiness"] is None
    assert row["intensity.happiness"] is None and row["expression.happiness"] is not None


def test_every_face_learns_its_rest_where_that_is_asked(short_clip, tmp_path):
    read_videos([short_clip], tmp_path, reading=Reading(adapt=True), workers=1, quiet=True)
    rows = read_table(tmp_path / f"{short_clip.name}.parquet").to_pylist()
    assert {row["reference"] for row in rows} == {"learnt"}


def test_another_rest_under_the_same_name_is_read_again(short_clip, tmp_path):
    rest, output = tmp_path / "me.json", tmp_path / "faces"

    def read() -> int:
        reading = Reading(neutral=str(rest))
        return read_videos([short_clip], output, reading=reading, workers=1, quiet=True).read

    rest_of(rest)
    assert (read(), read()) == (1, 0)
    rest.write_text(rest.read_text().replace('"frames": 50', '"frames": 40'))
    assert (read(), read()) == (1, 0)


def test_another_population_of_the_model_is_read_with_again(short_clip, tmp_path):
    shipped = registry.find("ipd_fer")
    model = Path(shutil.copy(shipped, tmp_path))
    population = Path(shutil.copy(population_file(shipped), tmp_path))

    def read(**options) -> int:
        reading = Reading(model=str(model), precision="fp32", **options)
        return read_videos(
            [short_clip], tmp_path / "f", reading=reading, workers=1, quiet=True
        ).read

    assert (read(adapt=True), read(adapt=True)) == (1, 0)
    population.write_text(population.read_text().replace('"wander": [', '"wander":  ['))
    assert (read(adapt=True), read(adapt=True)) == (1, 0)
    population.unlink()
    assert read() == 1


def test_the_file_may_go_away_once_it_was_read(short_clip, tmp_path):
    rest = tmp_path / "me.json"
    rest_of(rest)
    reading = checked(Reading(neutral=rest))
    rest.unlink()
    reading = CheckedReading.of(json.loads(json.dumps(asdict(reading))))
    with VideoReader(reading, tmp_path, made_by(reading)) as reader:
        assert reader.do(Job("face", str(short_clip))).written
    assert read_table(tmp_path / "face.parquet").to_pylist()[0]["reference"] == "me.json"


def test_a_reader_gives_its_own_rest(short_clip, tmp_path):
    with FaceReader(precision="fp32") as reader:
        reader.neutral = rest_of(tmp_path / "me.json")
        reader.videos([short_clip], tmp_path / "faces", workers=1)
    table = tmp_path / "faces" / f"{short_clip.name}.parquet"
    assert read_table(table).to_pylist()[0]["reference"] == "given"
    assert len(about(table)["options"]["neutral"]) == 64


@pytest.mark.parametrize("option", [{"adapt": True}, {"neutral": "me.json"}])
def test_parts_begin_where_nobody_knows_whose_rest_it_was(short_clip, tmp_path, option):
    if "neutral" in option:
        option = {"neutral": tmp_path / "me.json"}
        rest_of(option["neutral"])
    with pytest.raises(EngineError, match="leave out --part"):
        read_videos([short_clip], tmp_path / "f", reading=Reading(part=60.0, **option), quiet=True)


def test_what_is_no_reference_is_told_before_anything_is_read(short_clip, tmp_path, capsys):
    rest = tmp_path / "me.json"
    arguments = ["videos", str(short_clip), "--output", str(tmp_path / "f"), "--neutral", str(rest)]
    assert main(arguments) == 1
    assert "cannot be read: No such file" in capsys.readouterr().err
    rest.write_text("{}")
    with pytest.raises(ReferenceFileError, match="is no reference"):
        read_videos([short_clip], tmp_path / "f", reading=Reading(neutral=rest), quiet=True)
    assert not (tmp_path / "f").exists()
