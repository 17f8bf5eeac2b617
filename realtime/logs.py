"""What the library logs, on the console of a command."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

LOGGERS = ("realtime", "engine")


class _Console(logging.Handler):
    """Writes to stderr, above a progress bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


@contextmanager
def logged(level: str) -> Iterator[None]:
    """While this lasts, what the library logs from `level` ("debug" to "error") on is printed, a
    line each."""
    console = _Console()
    before = {name: logging.getLogger(name).level for name in LOGGERS}
    for name in LOGGERS:
        logging.getLogger(name).setLevel(level.upper())
        logging.getLogger(name).addHandler(console)
    try:
        yield
    finally:
        for name in LOGGERS:
            logging.getLogger(name).setLevel(before[name])
            logging.getLogger(name).removeHandler(console)
