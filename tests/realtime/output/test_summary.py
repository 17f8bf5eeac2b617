import tracemalloc
from dataclasses import replace

import numpy as np

from realtime.output.summary import KEPT, Summary
from realtime.sources.frame import Frame
from tests.realtime.support.media import make_face
from tests.realtime.support.memory import held_by_realtime

IMAGE = np.zeros((16, 16, 3), np.uint8)


def frame(index: int) -> Frame:
    return Frame(IMAGE, index, index / 25)


def test_ids_are_averaged_and_the_longest_seen_are_shown():
    summary = Summary()
    assert summary.table() == "No face was seen."
    for index in range(10):
        faces = [make_face(track_id=0, probability=0.8, pose=(10, 0, 0))]
        if index < 3:
            faces += [make_face(track_id=track_id, label=0) for track_id in (1, 2)]
        summary.add(frame(index), faces)
    lines = summary.table(rows=2).splitlines()
    assert len(lines) == 4 and summary.frames == 10
    assert lines[1].split()[:2] == ["0", "10"]
    assert "happiness 80%" in lines[1] and "+10°" in lines[1]
    assert lines[2].split()[:2] == ["1", "3"]
    assert lines[3] == "… and 1 more, seen for fewer frames."


def test_a_hundred_thousand_ids_take_no_more_memory_than_a_few():
    """Three faces stay, one of them from late on; all others are seen once."""
    summary, face = Summary(), make_face()
    stays = {0: range(1000), 1: range(200, 900), 200_000: range(900, 1000)}
    tracemalloc.start()
    for index in range(1000):
        ids = [100 * index + number + 1000 for number in range(100)]
        ids += [track_id for track_id, frames in stays.items() if index in frames]
        faces = [replace(face, track_id=track_id) for track_id in dict.fromkeys(ids)]
        summary.add(frame(index), faces)
        if index == 50:
            early = held_by_realtime()
    grown = held_by_realtime() - early
    tracemalloc.stop()

    assert len(summary._seen) <= KEPT and grown < 100_000
    lines = summary.table(rows=3).splitlines()
    longest = [line.split()[:2] for line in lines[1:4]]
    assert longest == [["0", "1000"], ["1", "700"], ["200000", "100"]]
    assert lines[4] == "… and 100000 more, seen for fewer frames."
