"""Workers on Ray: on this machine, or on all machines of a cluster.

A row of a data set is a job, and an actor with one core and one pipeline does one at a time. The
videos and the folder of files must be under the same paths on every machine.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.contract import EngineError
from realtime.many.job import CheckedReading, Job, Outcome, made_by
from realtime.many.pool import TRIES
from realtime.many.reader import VideoReader
from realtime.many.worker import PATIENCE, alarm

# Before it is imported: Ray tells its makers about every run unless told not to, and prints notices
# that tell a user nothing to act on.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")

try:
    import ray
    import ray.data
except ModuleNotFoundError:
    raise EngineError('--ray needs Ray: pip install ".[ray]"') from None

TRIED = ".tries"
"""Folder with a file for each job at work, whose length says how often it was begun."""

BLOCKS = 50
"""Blocks of rows for each worker, each of which takes Ray a little time."""


class Cluster:
    """Reads on Ray; the methods are those of :class:`realtime.many.pool.Pool`.

    address: "local" for this machine alone, else where a cluster is. workers: how many, a core
    each; None for as many as there are cores. setup: as for a pool.
    """

    def __init__(self, address: str, workers: int | None, setup: dict[str, Any]):
        self._setup = setup
        self._added: list[Job] = []
        self._tries = Path(setup["output"], TRIED)
        shutil.rmtree(self._tries, ignore_errors=True)
        try:
            # Only who starts a cluster may say what it has.
            here = {"include_dashboard": False, "num_cpus": workers} if address == "local" else {}
            options: dict[str, Any] = here | {"log_to_driver": False}
            with _own_way_to_end():
                ray.init(address=address, logging_level=logging.ERROR, **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise EngineError(
                f"There is no Ray cluster at {address}: {_last_line(error)}"
            ) from None
        cores = int(ray.cluster_resources().get("CPU", 0))
        if not cores:
            raise EngineError(f"The Ray cluster at {address} has no cores.")
        self._workers = workers or cores
        if self._workers > cores:
            ray.shutdown()
            raise EngineError(f"{workers} workers need a core each; the cluster has {cores}.")
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)

    def run(self, jobs: Iterator[Job]) -> Iterator[Outcome | int]:
        """As that of a pool; jobs that are added begin once all others have ended."""
        waiting = list(jobs)
        while waiting:
            for row in self._done(waiting):
                outcome = Outcome.of(json.loads(row["outcome"]))
                yield outcome.frames
                yield outcome
            waiting, self._added = self._added, []

    def add(self, jobs: list[Job]) -> None:
        self._added += jobs

    def _done(self, jobs: list[Job]) -> Iterator[dict[str, Any]]:
        workers = min(self._workers, len(jobs))
        rows = [{"job": json.dumps(asdict(job))} for job in jobs]
        blocks = min(len(rows), BLOCKS * workers)
        data = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            Reader,
            fn_constructor_args=(self._setup,),
            batch_size=1,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
        )
        try:
            yield from data.iter_rows()
        except ray.exceptions.RayError as error:
            raise EngineError(_last_line(error)) from None

    def close(self) -> None:
        ray.shutdown()
        shutil.rmtree(self._tries, ignore_errors=True)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *exception) -> None:
        self.close()


class Reader:
    """The actor: a batch of one job in, its outcome out."""

    def __init__(self, setup: dict[str, Any]):
        reading = CheckedReading.of(setup["reading"])
        made = made_by(reading)
        if made != setup["made_by"]:
            raise EngineError("A machine of the cluster has other models, or another version.")
        self._tries = Path(setup["output"], TRIED)
        self._tries.mkdir(parents=True, exist_ok=True)
        self._reader = VideoReader(reading, setup["output"], made, watch)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        job = Job.of(json.loads(batch["job"][0]))
        # Ray starts a lost worker anew without end and without a count.
        tries = self._tries / hashlib.sha256(batch["job"][0].encode()).hexdigest()
        with open(tries, "ab") as file:
            file.write(b".")
            count = file.tell()
        if count > TRIES:
            problem = f"{job.name} ended {TRIES} workers: is there enough memory?"
            outcome = Outcome(job, problem=problem, written=False)
        else:
            watch()
            outcome = self._reader.do(job)
            alarm(0)
        tries.unlink()
        return {"outcome": [json.dumps(asdict(outcome))]}


def watch() -> None:
    """Ends a worker that takes too long for one picture."""
    alarm(PATIENCE)


@contextmanager
def _own_way_to_end() -> Iterator[None]:
    """Keeps what SIGTERM does in this program: Ray puts something else in its place."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _last_line(error: Exception) -> str:
    """What went wrong, of the many lines that Ray wraps it in."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return re.sub(r"^[\w.]+Error: ", "", lines[-1]) if lines else repr(error)
