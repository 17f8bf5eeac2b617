"""Which faces to show."""

from __future__ import annotations

import numpy as np

from train.data.prepared import PreparedFaces
from train.errors import UserError


def examples(data: PreparedFaces, rows: np.ndarray, count: int = 8) -> np.ndarray:
    """Up to `count` of the `rows`, always the same: the classes in turn, every other face turned by
    more than 20° where the class has one."""
    turned = data.pose_trusted[rows] & (np.abs(data.pose[rows, 0]) > 20)
    chosen: list[int] = []
    for index in range(count):
        free = ~np.isin(rows, chosen)
        own = free & (data.label[rows] == index % len(data.classes))
        wanted = own & (turned if index % 2 else ~turned)
        pool = next((pool for pool in (wanted, own, free) if pool.any()), None)
        if pool is not None:
            chosen.append(rows[pool][0])
    return np.array(chosen, dtype=np.int64)


def chosen(data: PreparedFaces, split: str, ids: tuple[str, ...], count: int) -> np.ndarray:
    """Indices of the faces of a split with these ids, as labels.csv has them, or without ids of
    `count` :func:`examples`. UserError for ids that the split does not have."""
    if not ids:
        return examples(data, data.rows(split), count)
    row_of = {data.ids[row]: row for row in data.rows(split)}
    missing = [each for each in ids if each not in row_of]
    if missing:
        some = ", ".join(list(row_of)[:3])
        raise UserError(f"There is no face {', '.join(missing)} in {split}, but {some}, …")
    return np.array([row_of[each] for each in ids])
