"""Does jobs: one pipeline with one thread, which decodes by itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2

from engine.contract import EngineError
from realtime.many.job import CheckedReading, Job, Outcome, Part, source_of, table_path
from realtime.many.parts import merged, part_path, parts_folder, parts_of
from realtime.many.table import FaceTable, is_made, new_table
from realtime.networks import Networks
from realtime.pipeline import FacePipeline
from realtime.sources.frame import Source, SourceError
from realtime.sources.video import VideoLimits, VideoSource
from realtime.sources.video_part import VideoPart

ONE = VideoLimits(threads=1)


class VideoReader:
    """Reads videos one after the other into files below `output`; a context manager that closes its
    networks. From here on OpenCV works in one thread in all of this process.

    made_by: as :func:`realtime.many.job.made_by` gives it. watch: called at every frame. Raises
    EngineError where a network cannot be opened, ReferenceFileError where the rest that it is to
    read against is none of its model's, and from :meth:`do` where no file can be written
    or a network fails, so that no further video could be read either.
    """

    def __init__(
        self,
        reading: CheckedReading,
        output: str | Path,
        made_by: dict[str, Any],
        watch: Callable[[], None] = lambda: None,
    ):
        cv2.setNumThreads(1)
        self._reading, self._output, self._watch = reading, Path(output), watch
        self._networks = Networks(
            reading.model,
            min_face=reading.min_face,
            max_faces=reading.max_faces,
            backend=reading.backend,
            device=reading.device,
            precision=reading.precision,
            detector_precision=reading.detector_precision,
            threads=1,
        )
        session = self._networks.recogniser.session
        self._about = made_by | {"engine": session.description}
        self._rest = reading.rest and reading.rest.reference(self._networks.recogniser.population)

    def do(self, job: Job) -> Outcome:
        """What came of a job; what is wrong with its video is said there, not raised."""
        try:
            if job.merge:
                return self._merge(job)
            if job.part:
                return self._read_part(job, job.part)
            seconds = None if job.whole else self._reading.part
            if seconds and (parts := parts_of(job.path, seconds)):
                return Outcome(job, parts=parts)
            return self._read(job)
        except SourceError as error:
            problem = str(error)
        except EngineError:
            raise
        except OSError as error:
            problem = f"{job.name} cannot be read: {error.strerror}. Check the path."
        except MemoryError:
            problem = f"{job.name} takes more memory than there is: scale it down."
        except Exception as error:
            # One odd video must not keep thousands of others from being read.
            problem = f"{job.name} cannot be read: {type(error).__name__}: {error}"
        return Outcome(job, problem=problem, written=False)

    def _read(self, job: Job) -> Outcome:
        about = self._about | {"source": source_of(job.path), "problem": None}
        with VideoSource(f"file:{job.path}", job.name, ONE) as source:
            about |= {"width": source.width, "height": source.height, "fps": source.fps}
            with new_table(table_path(self._output, job.name), job.name, about) as table:
                table.about |= self._fill(table, source, breaks=True)
        return Outcome(job, table.about["frames"], table.about["problem"])

    def _read_part(self, job: Job, part: Part) -> Outcome:
        path, place = part_path(self._output, job.name, part.index), asdict(part)
        about = self._about | {"source": source_of(job.path), "problem": None, "part": place}
        if is_made(path, about):
            return Outcome(job)
        with VideoPart(
            *(job.path, job.name, ONE),
            index=part.settle,
            count=part.end - part.settle,
            stamp=part.stamp,
            start=part.start,
        ) as source:
            about |= {"width": source.width, "height": source.height, "fps": source.fps}
            with new_table(path, job.name, about) as table:
                table.about |= self._fill(table, source)
        return Outcome(job, part.end - part.settle)

    def _merge(self, job: Job) -> Outcome:
        paths = [part_path(self._output, job.name, index) for index in range(job.merge)]
        about, tables = merged(paths)
        with new_table(table_path(self._output, job.name), job.name, about) as table:
            for rows in tables:
                self._watch()
                table.add_table(rows)
        shutil.rmtree(parts_folder(self._output, job.name))
        return Outcome(job)

    def _fill(self, table: FaceTable, source: Source, breaks: bool = False) -> dict[str, Any]:
        """The faces of all frames, and what there is to say of these. breaks: that of a video which
        breaks off or is damaged, what could be read will do."""
        # A tracker and a smoother for one video; the networks stay open.
        detector, recogniser = self._networks.detector, self._networks.recogniser
        pipeline = FacePipeline(detector, recogniser, self._reading.smoothing, alone=True)
        pipeline.neutral.adapt = self._reading.adapt
        if self._rest and self._reading.rest:
            pipeline.neutral.give(self._rest, name=self._reading.rest.name)
        frames, time, problem = 0, 0.0, None
        try:
            for frame in source:
                self._watch()
                table.add(frame, pipeline.process(frame))
                frames, time = frame.index + 1, frame.time
        except SourceError as error:  # which comes after all frames that could be read
            if not breaks:
                raise
            problem = str(error)
        # The last frame is shown for as long as the mean one.
        usual = 1 / source.fps if source.fps else 0.04
        last = time / (frames - 1) if frames > 1 else usual
        return {"frames": frames, "seconds": round(time + last, 6), "problem": problem}

    def close(self) -> None:
        self._networks.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *exception) -> None:
        self.close()
