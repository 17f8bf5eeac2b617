"""Files that outputs are written into, and the one error of all that write them."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np

from engine.contract import EngineError
from engine.output import write


class SinkError(Exception):
    """An output cannot be written. The message is one line that tells the fix."""


class LineFile:
    """A text file that only ever holds whole lines."""

    def __init__(self, path: str | Path):
        self._path = Path(path)
        self._file = open_for_writing(self._path)

    def write(self, lines: str) -> None:
        data, written = lines.encode(), 0
        try:
            while written < len(data):  # on a full disk the write after a short one fails
                written += self._file.write(data[written:])
        except BrokenPipeError:
            raise  # a pipe's reader has seen enough: no fault of a file
        except OSError as error:
            self._take_back(written - (data.rfind(b"\n", 0, written) + 1))
            raise SinkError(unwritable(self._path, error.strerror)) from None

    def extend_lines(self, first: str, others: str) -> bool:
        """Adds `first` to the end of the first line and `others` to that of each other one. The
        file holds either all of that or none; False where it is a pipe or link and cannot."""
        if self._path.is_symlink() or not self._path.is_file():
            return False
        head, *rest = self._path.read_bytes().splitlines()
        lines = [head + first.encode(), *(line + others.encode() for line in rest)]
        try:
            write(self._path, b"".join(line + b"\n" for line in lines))
        except EngineError as error:
            raise SinkError(str(error)) from None
        self._file.close()
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115 - closed by close()
        return True

    def close(self) -> None:
        self._file.close()

    def _take_back(self, size: int) -> None:
        """Cuts off the last bytes, which are a part of a line; what a pipe has is gone."""
        if self._path.is_file():
            self._file.truncate(self._file.tell() - size)


def open_for_writing(path: Path) -> io.FileIO:
    """Opens a file for writing without a buffer, so that one write is one line on the disk."""
    try:  # asking is refused too where the name is too long or a folder may not be looked into
        if path.is_dir():
            raise SinkError(f"{path} is a folder. Give the name of a file.")
        if not path.parent.exists():
            raise SinkError(f"{path} cannot be written: create the folder {path.parent} first.")
        return open(path, "wb", buffering=0)
    except OSError as error:
        raise SinkError(unwritable(path, error.strerror)) from None


def unwritable(path: Path, reason: str | None) -> str:
    return f"{path} cannot be written: {reason}. Make room or choose another place."


def encoded(image: np.ndarray, suffix: str) -> bytes:
    """A picture (uint8 H×W×3, RGB) as the content of a file of this kind: .png, .jpg.
    SinkError where there is none, as where a side is too long for a JPEG."""
    height, width = image.shape[:2]
    done, content = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise SinkError(f"A picture of {width}×{height} pixels cannot be written as {suffix}.")
    return content.tobytes()
