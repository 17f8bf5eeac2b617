"""What a run saw, in a table: one row an id."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from realtime.faces import EXPRESSIONS, Face
from realtime.sources.frame import Frame

KEPT = 1000
"""Ids of which sums are kept, at most."""


@dataclass(slots=True)
class _Seen:
    first: float
    last: float = 0.0
    frames: int = 0
    expression: np.ndarray = field(default_factory=lambda: np.zeros(len(EXPRESSIONS)))
    angles: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def add(self, face: Face, time: float) -> None:
        self.last = time
        self.frames += 1
        assert face.pose is not None, "only finished faces are summed up"
        self.expression += face.expression
        self.angles += np.array([face.pose.yaw, face.pose.pitch, face.pose.roll])


class Summary:
    """Counts frames and averages expression and pose of each id.

    Where ids come without end, the sums of at most :data:`KEPT` are kept: of those seen in most
    frames, for the table, and of the latest, which may yet be seen in many. The others are counted.
    """

    def __init__(self):
        self.frames = 0
        self._seen: dict[int | None, _Seen] = {}
        self._forgotten = 0

    def add(self, frame: Frame, faces: list[Face]) -> None:
        """The finished faces of the next frame."""
        self.frames += 1
        for face in faces:
            self._seen.setdefault(face.track_id, _Seen(frame.time)).add(face, frame.time)
        if len(self._seen) > KEPT:
            self._forget()

    def _forget(self) -> None:
        """Keep half of the ids, so that this is not done at every new one."""
        share = KEPT // 4
        ids = sorted(self._seen, key=lambda track_id: self._seen[track_id].frames)
        rest, most = ids[:-share], ids[-share:]
        latest = sorted(rest, key=lambda track_id: self._seen[track_id].last)[-share:]
        self._forgotten += len(rest) - share
        self._seen = {track_id: self._seen[track_id] for track_id in (*most, *latest)}

    def table(self, rows: int = 12) -> str:
        """The ids seen in most frames, at most `rows` of them."""
        if not self._seen:
            return "No face was seen."
        longest = sorted(self._seen.items(), key=lambda item: -item[1].frames)
        titles = f"{'id':>4} {'frames':>7} {'seconds':>15}  {'expression':<16} "
        lines = [titles + f"{'yaw':>6} {'pitch':>6} {'roll':>6}"]
        for track_id, seen in sorted(longest[:rows]):
            mean = seen.expression / seen.frames
            top = int(np.argmax(mean))
            label = f"{EXPRESSIONS[top]} {mean[top]:.0%}"
            yaw, pitch, roll = seen.angles / seen.frames
            lines.append(
                f"{track_id:>4} {seen.frames:>7} {seen.first:>6.2f} – {seen.last:>6.2f}  "
                f"{label:<16} {yaw:>+5.0f}° {pitch:>+5.0f}° {roll:>+5.0f}°"
            )
        more = len(longest) + self._forgotten - rows
        if more > 0:
            lines.append(f"… and {more} more, seen for fewer frames.")
        return "\n".join(lines)
