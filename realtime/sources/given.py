"""Pictures that a program already has, as a source: NumPy arrays and Pillow's pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any

import cv2
import numpy as np
from PIL import Image

from realtime.sources.frame import Frame, Source, too_small
from realtime.sources.pictures import PictureError, upright_rgb

COLOURS = ("rgb", "bgr")
"""Orders of the channels of an array."""

_GIVE = "give uint8, height × width × 3"


def is_given(thing: object) -> bool:
    """Whether it is a picture itself, and not where one is found."""
    return isinstance(thing, (np.ndarray, Image.Image))


def as_rgb(picture: object, colour: str = "rgb") -> np.ndarray:
    """The picture as uint8 H×W×3, RGB, contiguous, upright: an array itself where it is that.

    picture: a NumPy array, uint8 H×W×3, its channels in the order `colour`; or a Pillow picture of
    any mode, whose order is known, turned upright by its EXIF mark. TypeError for anything else and
    for other dtypes, ValueError for other shapes, for less than 16×16 pixels and for a damaged
    file behind a Pillow picture; each says what to give.
    """
    if isinstance(picture, Image.Image):
        image = _from_pillow(picture)
    else:
        image = _from_array(picture)
        if colour == "bgr":
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    if problem := too_small(image):
        raise ValueError(f"The picture {problem}")
    return image


def in_colour(image: np.ndarray, colour: str) -> np.ndarray:
    """An RGB picture in the order `colour`: itself where that is RGB, else a copy."""
    return image if colour == "rgb" else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)


def check_picture(picture: object) -> None:
    """Raises as :func:`as_rgb` does, as far as that can be told without reading it."""
    if not isinstance(picture, Image.Image):
        _check_array(picture)


class GivenFrames(Source):
    """Pictures or frames, each as :func:`as_rgb` takes it.

    fps: they are frames of a video, so many a second; None for pictures that have nothing to do
    with each other, a second each. Those of a list are looked at here, those of an iterator when
    their turn comes. What cannot be used raises TypeError or ValueError, and ValueError where there
    is none.
    """

    def __init__(self, pictures: Iterable[Any], colour: str = "rgb", fps: float | None = None):
        self.still = fps is None
        self.fps = 1.0 if fps is None else fps
        if isinstance(pictures, Sized):
            self.frames = len(pictures)
            for picture in pictures:
                check_picture(picture)
        self._colour = colour
        self._rest = iter(pictures)
        first = next(self._rest, None)
        if first is None:
            raise ValueError("There is no picture among what was given: give one or more.")
        self._first = as_rgb(first, colour)
        what = "pictures" if self.still else "frames"
        self.name = "picture" if self.frames == 1 else f"{self.frames or ''} {what}".strip()
        self._measure(self._first)

    def __iter__(self) -> Iterator[Frame]:
        assert self.fps
        yield Frame(self._first, 0, 0.0)
        for index, picture in enumerate(self._rest, 1):
            yield Frame(as_rgb(picture, self._colour), index, index / self.fps)


def _from_pillow(picture: Image.Image) -> np.ndarray:
    try:
        return upright_rgb(picture)
    except PictureError as error:
        raise ValueError(f"The picture {error}") from None


def _from_array(picture: object) -> np.ndarray:
    return np.ascontiguousarray(_check_array(picture))


def _check_array(picture: object) -> np.ndarray:
    if not isinstance(picture, np.ndarray):
        raise TypeError(_no_array(picture))
    if picture.ndim != 3 or picture.shape[2] != 3:
        shape = "×".join(map(str, picture.shape)) or "a single number"
        raise ValueError(f"An array of shape {shape} {_wrong_shape(picture.shape)}")
    if picture.dtype != np.uint8:
        raise TypeError(
            f"A picture of {picture.dtype} has no known range: {_GIVE}{_from_dtype(picture.dtype)}."
        )
    return picture


def _wrong_shape(shape: tuple[int, ...]) -> str:
    """What is wrong with it, and what to give."""
    if len(shape) == 4:
        return (
            "holds several pictures: give list(array) for pictures, or fps=… beside it for frames "
            "of a video."
        )
    if len(shape) == 2:
        return f"is a grey picture: {_GIVE}, as np.dstack([picture] * 3) makes it."
    if len(shape) == 3 and shape[2] == 4:
        return f"has a fourth channel: {_GIVE}, as picture[..., :3]."
    if len(shape) == 3 and shape[0] == 3:
        return f"has its channels first: {_GIVE}, as np.moveaxis(picture, 0, 2) makes it."
    return f"is no picture: {_GIVE}."


def _from_dtype(dtype: np.dtype) -> str:
    if dtype.kind == "f":
        return ", as (255 * picture).astype(np.uint8) where it goes from 0 to 1"
    if dtype == np.uint16:
        return ", as (picture // 257).astype(np.uint8) where it goes from 0 to 65535"
    return ""


def _no_array(thing: object) -> str:
    kind = f"{type(thing).__module__}.{type(thing).__name__}".removeprefix("builtins.")
    if kind.startswith("torch"):
        return (
            f"A picture is a NumPy array or a Pillow picture, not a {kind}: {_GIVE}, as "
            "picture.permute(1, 2, 0).cpu().numpy() of a uint8 tensor with its channels first."
        )
    if isinstance(thing, (bytes, bytearray, memoryview)):
        return (
            "A picture is a NumPy array or a Pillow picture, not bytes: give "
            "PIL.Image.open(io.BytesIO(data))."
        )
    return f"A picture is a NumPy array or a Pillow picture, not a {kind}: {_GIVE}."
