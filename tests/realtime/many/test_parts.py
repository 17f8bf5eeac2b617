"""A long video in parts: the same frames, the same ids, and numbers that hardly differ."""

import time

import av
import numpy as np
import pyarrow
import pytest

from realtime.many import parts
from realtime.many.job import Job, Part, Reading, checked, made_by, table_path
from realtime.many.parts import merged, part_path, parts_of
from realtime.many.reader import VideoReader
from realtime.many.run import read_videos
from realtime.many.table import SCHEMA, about, new_table, read_table
from realtime.sources.video import VideoLimits, VideoSource
from realtime.sources.video_part import VideoPart, time_stamps
from tests.realtime.support.media import repeat, scene, spoil, write_video
from tests.realtime.support.paths import CLIP

TOLERANCES = {"box": 0.04, "landmarks": 0.04, "expression": 0.02, "pose": 1.0}
"""Face sizes, probabilities, degrees. A face is looked for in the same place until it has moved by
0.04 of its size, so where it was seen first is remembered for as long as it keeps still."""


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """40 seconds at 5 frames a second of an uneven length, with a key frame now and then."""
    times = [index / 5 + 0.05 * (index % 3) for index in range(200)]
    pictures = [scene(index, 96, 64) for index in range(200)]
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    return write_video(path, pictures, times, options={"g": "23", "bf": "2"})


def test_parts_hold_every_frame_once_and_settle_before(video):
    cut = parts_of(str(video), 16.0)
    assert [part.index for part in cut] == [0, 1, 2]
    assert [part.first for part in cut[1:]] == [part.end for part in cut[:-1]]
    assert (cut[0].first, cut[0].settle, cut[-1].end) == (0, 0, 200)
    stamps, unit = time_stamps(str(video))
    for part in cut[1:]:
        settles = (stamps[part.first] - stamps[part.settle]) * unit
        assert parts.SETTLE <= settles < parts.SETTLE + 5 * 0.3 and part.settle % 4 == 0
    assert parts_of(str(video), 50.0) == ()


def test_a_part_gives_the_frames_of_the_whole(video):
    whole = list(VideoSource(f"file:{video}", "whole", VideoLimits(threads=1)))
    for part in parts_of(str(video), 16.0):
        place = {"index": part.settle, "count": part.end - part.settle}
        place |= {"stamp": part.stamp, "start": part.start}
        frames = list(VideoPart(str(video), "part", VideoLimits(threads=1), **place))
        for frame, same in zip(frames, whole[part.settle : part.end], strict=True):
            assert (frame.index, frame.time) == (same.index, same.time)
            assert np.array_equal(frame.image, same.image)


def test_a_video_whose_stamps_say_nothing_is_not_cut(video, tmp_path):
    assert time_stamps(str(spoil(video, 0.0, 0.01))) is None
    stream = tmp_path / "raw.h264"
    with av.open(str(video)) as source, av.open(str(stream), "w") as target:
        copy = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    assert parts_of(str(stream), 16.0) == ()


def rows(name, sightings):
    """sightings: frame, id, x of the box."""
    columns = {field.name: [] for field in SCHEMA}
    for frame, face, x in sightings:
        row = {"video": name, "frame": frame, "face": face, "label": "neutral"}
        row |= {"box": [x, 0, x + 10, 10], "landmarks": [[0, 0]] * 5}
        for key in columns:
            columns[key].append(row.get(key, None if key == "reference" else 0.0))
    return pyarrow.table(columns, SCHEMA)


def join(folder, *tables):
    """The ids and places of parts of ten frames, which settle for four, put together."""
    for index, sightings in enumerate(tables):
        part = {"first": 10 * index, "settle": max(0, 10 * index - 4)}
        told = {"frames": 10 * index + 10, "seconds": 1.0 + index, "part": part, "problem": None}
        with new_table(part_path(folder, "v", index), "v", told) as table:
            table.add_table(rows("v", sightings))
    told, whole = merged([part_path(folder, "v", index) for index in range(len(tables))])
    joined = pyarrow.concat_tables(whole)
    kept = [joined[name].to_pylist() for name in ("frame", "face", "box")]
    return told, [(frame, face, box[0]) for frame, face, box in zip(*kept, strict=True)]


def test_ids_go_on_from_part_to_part(tmp_path):
    first = [(frame, face, 100 * face) for frame in range(10) for face in (0, 1)]
    # In the second part the faces come in another order, one leaves, and one is new.
    second = [(frame, face, 100 * (1 - face)) for frame in range(6, 12) for face in (0, 1)]
    second += [(frame, face, 200 * face - 100) for frame in range(12, 20) for face in (1, 2)]
    third = [(frame, 0, 301) for frame in range(16, 30)]
    told, joined = join(tmp_path, first, second, third)
    expected = first + [(f, 1 - i, x) for f, i, x in second if 10 <= f < 12]
    expected += [(f, {1: 0, 2: 2}[i], x) for f, i, x in second if f >= 12]
    expected += [(f, 2, x) for f, _, x in third if f >= 20]
    assert joined == expected
    assert (told["frames"], told["seconds"], told["parts"]) == (30, 3.0, 3)


def test_a_face_that_is_hidden_where_a_part_begins_keeps_its_id(tmp_path):
    first = [(frame, 0, 0) for frame in range(8)]
    second = [(frame, 0, 0) for frame in (6, 7, *range(12, 20))]
    assert {face for _, face, _ in join(tmp_path, first, second)[1]} == {0}


def test_a_face_that_is_elsewhere_is_another_one(tmp_path):
    first = [(frame, 0, 0) for frame in range(10)]
    second = [(frame, 0, 50) for frame in range(8, 20)]
    assert {face for _, face, _ in join(tmp_path, first, second)[1]} == {0, 1}


def test_a_part_that_cannot_be_read_as_planned_makes_the_video_be_read_whole(
    video, tmp_path, monkeypatch
):
    monkeypatch.setattr("realtime.many.run._workers", lambda *_: Here(tmp_path, wrong=True))
    reading = Reading(part=16.0)
    report = read_videos([video], tmp_path, reading=reading, quiet=True)
    assert (report.read, report.failed) == (1, 0)
    told = about(table_path(tmp_path, "video.mp4"))
    assert told["frames"] == 200 and "parts" not in told
    assert not (tmp_path / ".parts").exists()


def test_parts_are_put_together_in_a_run(video, tmp_path, monkeypatch):
    monkeypatch.setattr("realtime.many.run._workers", lambda *_: Here(tmp_path))
    report = read_videos([video], tmp_path, reading=Reading(part=16.0), quiet=True)
    assert (report.read, report.failed) == (1, 0)
    told = about(table_path(tmp_path, "video.mp4"))
    assert (told["frames"], told["parts"]) == (200, 3)
    assert told["seconds"] == pytest.approx(40.2, abs=0.3)
    assert not (tmp_path / ".parts").exists()


class Here:
    """Does jobs in this process. wrong: says that the last part cannot be read."""

    def __init__(self, output, wrong=False):
        reading = checked(Reading(part=16.0))
        self._reader = VideoReader(reading, output, made_by(reading))
        self._jobs, self._wrong = [], wrong

    def run(self, jobs):
        self._jobs = list(jobs)
        while self._jobs:
            job = self._jobs.pop(0)
            if self._wrong and job.part and job.part.index == 2:
                part = Part(2, job.part.settle, job.part.first, 10_000, job.part.stamp, 0)
                job = Job(job.name, job.path, part)
            yield self._reader.do(job)

    def add(self, jobs):
        self._jobs += jobs

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._reader.close()


@pytest.mark.slow
def test_rows_and_ids_equal_those_of_the_whole(tmp_path):
    path = repeat(CLIP, 3, tmp_path / "long.mp4")
    differences, _ = compare(path, tmp_path, 16.0)
    assert differences["ids"] == differences["labels"] == 0 < differences["rows"]
    assert all(differences[kind] <= TOLERANCES[kind] for kind in TOLERANCES), differences


def compare(path, folder, seconds: float) -> tuple[dict[str, float], list[float]]:
    """How far rows of a video in parts are from those of the whole with the same frame and id, at
    most; how many are of a frame and id that the other lacks (`ids`); and the seconds of a core
    that whole and parts took."""
    tables, took = [], []
    for part in (None, seconds):
        reading = checked(Reading(part=part))
        output = folder / str(part)
        with VideoReader(reading, output, made_by(reading)) as reader:
            started = time.process_time()
            planned = reader.do(Job("video", str(path))).parts
            for piece in planned:
                assert reader.do(Job("video", str(path), piece)).problem is None
            if planned:
                reader.do(Job("video", str(path), merge=len(planned)))
            took.append(time.process_time() - started)
        assert len(planned) == 0 if part is None else len(planned) > 1
        tables.append(read_table(table_path(output, "video")))
    whole, cut = ({(row["frame"], row["face"]): row for row in t.to_pylist()} for t in tables)
    found = {"rows": len(whole), "ids": len(whole.keys() ^ cut.keys()), "labels": 0}
    found |= dict.fromkeys(TOLERANCES, 0.0)
    for key in whole.keys() & cut.keys():
        one, other = whole[key], cut[key]
        assert one["time"] == other["time"]
        found["labels"] += one["label"] != other["label"]
        size = max(one["box"][2] - one["box"][0], one["box"][3] - one["box"][1])
        for name in (name for name in SCHEMA.names if name.split(".")[0] in TOLERANCES):
            kind = name.split(".")[0]
            away = np.abs(np.array(one[name]) - np.array(other[name])).max()
            found[kind] = max(found[kind], away / (size if kind in ("box", "landmarks") else 1))
    return found, took


def test_the_settling_is_longer_than_what_is_remembered():
    from realtime.detection.track import Tracker
    from realtime.smooth import OneEuroFilter

    assert 2 * Tracker().max_gap < parts.SETTLE
    value = OneEuroFilter(cutoff=0.4, beta=0.0)
    for frame in range(int(25 * parts.SETTLE)):
        last = value(np.array(0.0 if frame else 1.0), 0.04)
    assert abs(last) < 1e-8
