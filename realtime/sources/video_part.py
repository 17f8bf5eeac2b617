"""A part of a video file, from one frame on."""

from __future__ import annotations

from collections.abc import Iterator

import av

from realtime.sources.containers import opening_options
from realtime.sources.frame import Frame, SourceError
from realtime.sources.video import VideoLimits, VideoSource


class VideoPart(VideoSource):
    """The frames of the file `path` from the one with this time stamp on, `count` of them, with
    pixels, numbers and times as :class:`VideoSource` gives them.

    index: number of the first of them. stamp, start: time stamps as stored, of that frame and of
    the first of the video. Iterating raises SourceError where these frames are not all there.
    """

    def __init__(
        self,
        path: str,
        name: str,
        limits: VideoLimits,
        *,
        index: int,
        count: int,
        stamp: int,
        start: int,
    ):
        super().__init__(f"file:{path}", name, limits)
        self._index, self._count, self._stamp, self._start_stamp = index, count, stamp, start

    def __iter__(self) -> Iterator[Frame]:
        self._first = None
        self._container.seek(self._stamp, stream=self._stream)  # to a key frame at or before it
        self._decoded = self._decode()
        unit, given = self._stream.time_base, 0
        assert unit is not None, "who knows a stamp knows its unit"
        start = float(self._start_stamp * unit)
        for picture in self._decoded:
            if picture.pts is None or picture.pts < self._stamp:
                continue
            if not given and picture.pts > self._stamp:
                break
            yield Frame(
                self._picture(picture), self._index + given, float(picture.pts * unit) - start
            )
            given += 1
            if given == self._count:
                break
        if given < self._count or self._damaged:
            raise SourceError(f"{self.name} cannot be read in parts.")


def time_stamps(path: str) -> tuple[list[int], float] | None:
    """The time stamps of all frames of a video file in the order in which they are shown, as
    stored, and their unit in seconds; None where they do not say which frame is which.

    Nothing is decoded: reading the file takes most of the time.
    """
    stamps: list[int] = []
    try:
        with av.open(f"file:{path}", options=opening_options(f"file:{path}", True)) as container:
            if not container.streams.video or container.format.flags & _TS_DISCONT:
                return None
            stream = container.streams.video[0]
            for packet in container.demux(stream):
                if not packet.size:  # PyAV's own mark of the end
                    continue
                if packet.pts is None or packet.is_corrupt or packet.is_discard:
                    return None
                stamps.append(packet.pts)
            unit = stream.time_base
    except av.error.FFmpegError:
        return None
    if unit is None or len(set(stamps)) < len(stamps):
        return None
    return sorted(stamps), float(unit)


_TS_DISCONT: int = av.format.Flags.ts_discont.value  # type: ignore[assignment]
