"""Reads frames, finds, aligns and follows faces, runs the engine, smooths, draws and records.

A frame's way, room by room, from the ground floor up; an import goes only down:

- `faces`: Face, HeadPose and EXPRESSIONS, which every other room takes and gives. `align`: the crop
  that the network sees, the same as in training. `timing`: how long each stage takes. `ahead`: the
  threads that read ahead and write behind. `clips/`: the clip that ships.
- `sources/`: cameras, videos, streams and pictures as one iterator of frames. `smooth`: steady
  while a face is still, quick when it changes. `reference`: a face read against its person's own
  rest, with `population`, `capture` and `number_file`. `head`: one that turns.
- `detection/`: MTCNN finds faces, the finder and the tracker follow them.
- `recognise`: the expression network on aligned faces. `neutral`: whose rest is known. `output/`:
  overlay, window, video, records. `habits`: what people try who know other programs.
- `networks`: the detector and the recogniser, opened once for all who use them. `result`: what is
  known of one frame.
- `pipeline`: a frame in, faces out.
- `reading`: a source while it is read, with its pipeline.
- `results` and `reader`: FaceReader, one call for whatever can be looked at.
- `run`: frames through the pipeline, onto the screen and into the files. `many/`: the videos of a
  corpus, in several processes or on Ray, into a file each, and what these say together.
- `measure/`: `bench`, `soak`, `still`, and what a reference of the resting face gains. `web/`: the
  page, `web/command` its command line. `demo`: the clip that ships through the program.
- `__main__`: ``python -m realtime``, the command line, with its `options` and what it prints of the
  library's `logs`.

>>> from realtime import FaceReader
>>> with FaceReader() as reader:
...     result = reader.read("realtime/web/examples/one.jpg")
>>> [face.label for face in result.faces]
['happiness']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtime.faces import EXPRESSIONS, Face, HeadPose
    from realtime.reader import FaceReader
    from realtime.reference import Reference
    from realtime.result import Result

__all__ = ["EXPRESSIONS", "Face", "FaceReader", "HeadPose", "Reference", "Result"]

_HOMES = {
    "EXPRESSIONS": "faces",
    "Face": "faces",
    "FaceReader": "reader",
    "HeadPose": "faces",
    "Reference": "reference",
    "Result": "result",
}


def __getattr__(name: str):
    """The public names, loaded when they are asked for: `import realtime` alone is quick."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
