"""What commands write and print: all of a file or nothing, and errors that tell the fix."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.contract import EngineError


def write(path: Path, content: bytes) -> None:
    """All of it or nothing: a reader never sees half a file. EngineError where it cannot be."""
    with writing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A file to write to bit by bit, which is `path` once the block ends, and gone where the block
    fails. EngineError where it cannot be written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise EngineError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):  # said above; where it was written whole, it has another name now
            temporary.unlink()


def check_writable(path: Path) -> None:
    """EngineError where `path` cannot become a file: found out before the measuring, not after."""
    try:  # asking is refused too where the name is too long or a folder may not be looked into
        is_folder, parent_is_there = path.is_dir(), path.parent.is_dir()
    except OSError as error:
        raise EngineError(f"{path} cannot be written: {error.strerror}.") from None
    if is_folder:
        raise EngineError(f"{path} is a folder: give a file name.")
    if not parent_is_there:
        raise EngineError(f"The folder {path.parent} does not exist: make it first.")
    if not os.access(path.parent, os.W_OK):
        raise EngineError(f"The folder {path.parent} cannot be written to: choose another.")


def program(script: str, otherwise: str) -> str:
    """How a command was started, for its help: as `script`, which pip installs, or `otherwise`."""
    return script if Path(sys.argv[0]).stem == script else otherwise


def printing(command: Callable[[], int]) -> int:
    """The exit code of a command whose printing may fail: where the reader has seen enough
    (`| head`) it ends in silence, as other programs do, and on a full disk with one line."""
    try:
        code = command()
        sys.stdout.flush()
        return code
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        # Python flushes once more when it ends, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            return 141
        print("The disk is full: nothing more can be printed. Make room.", file=sys.stderr)
        return 1
