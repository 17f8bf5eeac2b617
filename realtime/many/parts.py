"""A long video cut into parts that are read side by side, and put together again.

Every part begins :data:`SETTLE` seconds early, so that its tracker and smoother know at its first
frame what those of the whole video would. Over these seconds the faces are seen twice, which tells
whose id in one part is whose in the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow

from realtime.detection.finder import SEARCH_FRAMES
from realtime.many.job import Part
from realtime.many.table import about, read_table
from realtime.sources.video_part import time_stamps

SETTLE = 8.0
"""Seconds: more than a hidden face is waited for (2.5), and than the smoother remembers: of a still
face it forgets all but 2e-9 in that time."""

PARTS = ".parts"
"""The folder, in that of the results, for what was read of videos that are not whole yet."""

SAME = 0.5
"""Boxes of one frame are one face's where they share at least this part of what they cover."""


def parts_of(path: str, seconds: float) -> tuple[Part, ...]:
    """Parts of about that many seconds; none where the video is too short for two, or where its
    time stamps do not allow it."""
    known = time_stamps(path)
    if known is None:
        return ()
    stamps, unit = known
    times = (np.array(stamps) - stamps[0]) * unit
    count = int(np.ceil(times[-1] / max(seconds, 2 * SETTLE)))
    if count < 2:
        return ()
    cuts = np.searchsorted(times, np.linspace(0, times[-1], count + 1)[:-1]).tolist()
    parts = []
    for index, (first, end) in enumerate(zip(cuts, [*cuts[1:], len(times)], strict=True)):
        settle = max(0, int(np.searchsorted(times, times[first] - SETTLE, "right")) - 1)
        settle -= settle % SEARCH_FRAMES  # the search is at the same place as that of the whole
        parts.append(Part(index, settle, first, end, stamps[settle], stamps[0]))
    return tuple(parts)


def parts_folder(output: Path, name: str) -> Path:
    return output / PARTS / name


def part_path(output: Path, name: str, index: int) -> Path:
    return parts_folder(output, name) / f"{index}.part"


def merged(paths: list[Path]) -> tuple[dict[str, Any], Iterator[pyarrow.Table]]:
    """What the metadata of the whole says, and its rows, a table for each of the parts in `paths`.

    FileNotFoundError where one of them is not there whole.
    """
    told = [about(path) for path in paths]
    for path, one in zip(paths, told, strict=True):
        if one is None:
            raise FileNotFoundError(path)
    whole: dict[str, Any] = {**(told[0] or {}), **{k: (told[-1] or {})[k] for k in _OF_THE_END}}
    whole["parts"] = len(paths)
    whole.pop("part")
    return whole, _joined(paths, [(one or {})["part"] for one in told])


_OF_THE_END = ("frames", "seconds")


def _joined(paths: list[Path], parts: list[dict[str, int]]) -> Iterator[pyarrow.Table]:
    """The rows of each part, without those that settled it, under the ids of the whole."""
    before, ids = None, _Ids()
    for path, part in zip(paths, parts, strict=True):
        rows = read_table(path)
        frames = rows["frame"].to_numpy()
        own = rows.filter(pyarrow.array(frames >= part["first"]))
        if before is not None:
            ids.carry(before, rows.filter(pyarrow.array(frames < part["first"])))
        own = ids.renamed(own)
        yield own
        before = own


class _Ids:
    """Ids of the whole: they count up in the order in which faces come into view."""

    def __init__(self) -> None:
        self._next = 0
        self._known: dict[int, int] = {}

    def carry(self, before: pyarrow.Table, again: pyarrow.Table) -> None:
        """Learn who is who from the same frames at the end of one part and before the next: of two
        sightings the later one counts."""
        self._known = {}
        earlier = _by_frame(before, set(again["frame"].to_pylist()))
        for frame, (ids, boxes) in sorted(_by_frame(again, None).items(), reverse=True):
            if frame not in earlier:
                continue
            whole_ids, whole_boxes = earlier[frame]
            shared = _shared(whole_boxes, boxes)
            near = np.argwhere(shared >= SAME)
            for row, column in near[np.argsort(-shared[tuple(near.T)], kind="stable")].tolist():
                whole_id, own = int(whole_ids[row]), int(ids[column])
                if own not in self._known and whole_id not in self._known.values():
                    self._known[own] = whole_id

    def renamed(self, rows: pyarrow.Table) -> pyarrow.Table:
        ids = rows["face"].to_pylist()
        for own in dict.fromkeys(ids):
            if own not in self._known:
                self._known[own] = self._next
                self._next += 1
        column = pyarrow.array([self._known[own] for own in ids], pyarrow.int32())
        return rows.set_column(rows.schema.get_field_index("face"), "face", column)


def _by_frame(
    rows: pyarrow.Table, wanted: set[int] | None
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Ids (n,) and boxes float32 (n, 4) of each frame, of those `wanted`."""
    frames = rows["frame"].to_numpy()
    chosen = np.flatnonzero(np.isin(frames, list(wanted))) if wanted is not None else None
    if chosen is not None:
        rows, frames = rows.take(pyarrow.array(chosen)), frames[chosen]
    if not len(rows):
        return {}
    ids = rows["face"].to_numpy()
    boxes = np.array(rows["box"].to_pylist(), np.float32)
    starts = np.flatnonzero(np.diff(frames, prepend=-1))
    return {
        int(frames[start]): (ids[start:end], boxes[start:end])
        for start, end in zip(starts, [*starts[1:], len(frames)], strict=True)
    }


def _shared(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of each of `boxes` (n, 4) with each of `others` (m, 4): (n, m)."""
    starts = np.maximum(boxes[:, None, :2], others[None, :, :2])
    ends = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.maximum(ends - starts, 0), axis=2)
    areas, other_areas = (np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (boxes, others))
    return shared / (areas[:, None] + other_areas[None] - shared)
