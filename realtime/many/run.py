"""All videos: those that are not there yet, and a list of those that could not be read."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from engine import processors
from engine.contract import EngineError
from engine.output import write
from realtime.many.corpus import Video, find_videos
from realtime.many.job import Job, Outcome, Reading, checked, made_by, source_of, table_path
from realtime.many.parts import PARTS, parts_folder
from realtime.many.pool import Pool
from realtime.many.progress import Progress
from realtime.many.table import about, is_made
from realtime.output.files import LineFile

FAILED = "failed.jsonl"

USUAL = Reading()


@dataclass(frozen=True)
class Report:
    """What a run did. videos: how many there are. read: of them, in this run, and there whole
    before: `known`. failed: how many stand in failed.jsonl, read in part or not at all. frames,
    seconds: that were read, and how long that took."""

    videos: int
    read: int
    known: int
    failed: int
    frames: int
    seconds: float


class Workers(Protocol):
    """What does jobs: :class:`realtime.many.pool.Pool` says how."""

    def run(self, jobs: Iterator[Job]) -> Iterator[Outcome | int]: ...

    def add(self, jobs: list[Job]) -> None: ...


def read_videos(
    sources: Iterable[str | Path],
    output: str | Path,
    *,
    reading: Reading = USUAL,
    workers: int | None = None,
    ray: str | None = None,
    quiet: bool = False,
) -> Report:
    """Reads every video of files, patterns and folders into a Parquet file below `output`, see
    :mod:`realtime.many.table`. What is there already, of the same videos by the same models,
    version and options, is left as it is.

    Videos that cannot be read, or not to their end, are listed in ``failed.jsonl`` with the reason,
    a line each, by name; without any there is no such file. What could be read of them is kept.

    workers: how many processes, one a core if None. ray: the address of a Ray cluster, "local" for
    Ray on this machine alone; None for a pool of processes here. quiet: no progress on stderr.

    Raises SourceError where a source holds no videos, EngineError where a model cannot be run or a
    file not be written, ReferenceFileError where the `neutral` of `reading` is none of the model's.
    Whatever ends it, files are there whole or not at all.

    >>> report = read_videos(["recordings"], "faces")  # doctest: +SKIP
    """
    output = Path(output)
    videos = find_videos(sources)
    ready = checked(reading)
    if workers is not None and workers < 1:
        raise EngineError(f"{workers} workers read nothing: give 1 or more.")
    made = made_by(ready)
    setup = {"reading": asdict(ready), "output": str(output.absolute()), "made_by": made}
    _make_folder(output)
    run = _Run(videos, output, made, Progress(len(videos), _size(videos), quiet))
    with closing(run), _workers(workers, ray, setup) as doing:
        run.go(doing)
    return run.report()


def _workers(
    count: int | None, ray: str | None, setup: dict[str, Any]
) -> AbstractContextManager[Workers]:
    if ray is None:
        return Pool(count or processors.usable(), setup)
    from realtime.many.cluster import Cluster  # Ray takes seconds to load

    return Cluster(ray, count, setup)


class _Run:
    def __init__(self, videos: list[Video], output: Path, made: dict[str, Any], progress: Progress):
        self._videos, self._output, self._made = videos, output, made
        self._progress = progress
        self._sizes = {video.name: video.size for video in videos}
        self._pending: dict[str, int] = {}
        self._parts: dict[str, int] = {}
        self._failed_file = LineFile(output / FAILED)
        self._read = self._known = self._failed = 0
        # The jobs are asked for in the threads of the workers.
        self._lock = threading.Lock()

    def go(self, workers: Workers) -> None:
        for told in workers.run(self._jobs()):
            if isinstance(told, int):
                self._progress.add_frames(told)
                continue
            with self._lock:
                jobs = self._after(told)
            # Not under the lock: workers may wait for it while they hold their own.
            workers.add(jobs)
        self._sort_failed()
        shutil.rmtree(self._output / PARTS, ignore_errors=True)

    def report(self) -> Report:
        progress = self._progress
        counts = (len(self._videos), self._read, self._known, self._failed)
        return Report(*counts, progress.frames, progress.seconds)

    def close(self) -> None:
        self._progress.close()
        self._failed_file.close()

    def _jobs(self) -> Iterator[Job]:
        """The videos that are not there yet; one is looked for when its turn comes."""
        for video in self._videos:
            path = table_path(self._output, video.name)
            if self._is_there(path, video):
                with self._lock:
                    self._known += 1
                    self._progress.skip(video.size)
                    problem = (about(path) or {}).get("problem")
                    if problem:
                        self._fail(video.name, video.path, problem, kept=True)
                self._tidy(video.name)
            else:
                yield Job(video.name, video.path)

    def _is_there(self, path: Path, video: Video) -> bool:
        try:
            return is_made(path, self._made | {"source": source_of(video.path)})
        except OSError:  # there is no such video any more, as the reader will say
            return False

    def _after(self, outcome: Outcome) -> list[Job]:
        """What is to be done next for the video of an outcome."""
        job = outcome.job
        if outcome.parts:
            self._pending[job.name] = self._parts[job.name] = len(outcome.parts)
            return [Job(job.name, job.path, part) for part in outcome.parts]
        if not (job.part or job.merge):
            self._finish(outcome)
            return []
        if job.name not in self._pending:  # another of its parts has failed
            return []
        if outcome.problem:
            del self._pending[job.name]
            return [Job(job.name, job.path, whole=True)]
        if job.merge:
            self._finish(outcome)
            return []
        self._pending[job.name] -= 1
        done = not self._pending[job.name]
        return [Job(job.name, job.path, merge=self._parts[job.name])] if done else []

    def _finish(self, outcome: Outcome) -> None:
        job = outcome.job
        self._pending.pop(job.name, None)
        self._parts.pop(job.name, None)
        self._progress.finish(self._sizes[job.name])
        self._read += outcome.written
        if outcome.problem:
            self._fail(job.name, job.path, outcome.problem, outcome.written)
        if not outcome.written:  # what an earlier video of this name had is no result of this one
            table_path(self._output, job.name).unlink(missing_ok=True)
        self._tidy(job.name)

    def _fail(self, name: str, path: str, problem: str, kept: bool) -> None:
        self._failed += 1
        line = {"video": name, "source": path, "problem": problem, "kept": kept}
        self._failed_file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _sort_failed(self) -> None:
        path = self._output / FAILED
        lines = sorted(path.read_bytes().splitlines(keepends=True), key=_name_in)
        if lines:
            write(path, b"".join(lines))
        else:
            path.unlink()

    def _tidy(self, name: str) -> None:
        """Parts of a video are of no use any more."""
        shutil.rmtree(parts_folder(self._output, name), ignore_errors=True)


def _name_in(line: bytes) -> str:
    return json.loads(line)["video"]


def _size(videos: list[Video]) -> int:
    return sum(video.size for video in videos)


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(f"{output} cannot be made a folder: {error.strerror}.") from None
