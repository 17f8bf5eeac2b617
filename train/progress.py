"""How far long work has come: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tqdm import tqdm

EVERY = 60.0
"""Seconds between two lines where there is no terminal."""


class _Lines(tqdm):
    disable: bool

    """Each display is a line of its own, without a bar, and the first and the last are left out."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        if self.n and self.n != self.total:
            print(str(self) if msg is None else msg, file=self.fp, flush=True)

    def close(self) -> None:
        if not self.disable:
            self.disable = True
            self._decr_instances(self)


def progress(items: Iterable | None = None, **options) -> tqdm:
    """tqdm over `items`, with its options, on standard error."""
    if sys.stderr.isatty():
        return tqdm(items, mininterval=1, **options)
    form = "{desc}: {n_fmt} of {total_fmt} {unit}, {remaining} left"
    return _Lines(items, mininterval=EVERY, maxinterval=EVERY, bar_format=form, **options)
