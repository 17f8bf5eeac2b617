"""Workers that are killed, and a program that is: nothing is lost, nothing is half."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from realtime.many import pool
from realtime.many.job import Job
from realtime.many.pool import Pool
from realtime.many.run import read_videos
from tests.realtime.many.corpora import children, files
from tests.realtime.support.media import repeat
from tests.realtime.support.paths import CLIP, ROOT

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


class KillingPool(Pool):
    """Kills the first `times` workers once they are at work."""

    times, signal = 1, signal.SIGKILL

    def _hear(self, process, wanted):
        if wanted == "outcome" and self.times:
            self.times -= 1
            process.send_signal(self.signal)
        return super()._hear(process, wanted)


def test_the_video_of_a_killed_worker_is_done_again(corpus, undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr("realtime.many.run.Pool", KillingPool)
    report = read_videos([corpus], tmp_path, workers=1, quiet=True)
    assert (report.read, report.failed) == (4, 3)
    assert files(tmp_path) == files(undisturbed[0])


def test_a_video_that_kills_every_worker_is_given_up(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("realtime.many.run.Pool", KillingPool)
    monkeypatch.setattr(KillingPool, "times", 2)
    monkeypatch.setattr(pool, "TRIES", 2)
    report = read_videos(
        [corpus / "face.mp4", corpus / "scenery.webm"], tmp_path, workers=1, quiet=True
    )
    assert (report.read, report.failed) == (1, 1)
    assert "ended 2 workers (signal 9)" in (tmp_path / "failed.jsonl").read_text()


def test_a_video_that_hangs_its_decoder_is_not_tried_again(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("realtime.many.run.Pool", KillingPool)
    monkeypatch.setattr(KillingPool, "signal", signal.SIGALRM)
    report = read_videos([corpus / "face.mp4"], tmp_path, workers=1, quiet=True)
    assert (report.read, report.failed) == (0, 1)
    assert "takes minutes to decode" in (tmp_path / "failed.jsonl").read_text()


def test_jobs_that_are_added_come_first():
    class Recording(Pool):
        def _until_it_ends(self, taken):
            order.append(taken[0].name)
            self._told.put(pool.Outcome(taken[0]))
            ready.wait()
            return self._next()

    order, ready = [], threading.Event()
    with Recording(1, {}) as workers:
        for outcome in workers.run(Job(name, name) for name in "ab"):
            if outcome.job.name == "a":
                workers.add([Job("x", "x"), Job("y", "y")])
            ready.set()
    assert order == ["a", "x", "y", "b"]


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_program_that_is_ended_leaves_whole_files_and_no_process(how, tmp_path):
    repeat(CLIP, 20, tmp_path / "long.mp4")
    output = tmp_path / "faces"
    command = ["-m", "realtime", "videos", str(tmp_path / "long.mp4"), "--output", str(output)]
    process = subprocess.Popen(
        [sys.executable, *command, "--workers", "1"],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: list(output.glob(".*.tmp")))
    (worker,) = children(process.pid)
    process.send_signal(how)
    _, told = process.communicate(timeout=120)
    until(lambda: not running(worker))
    assert not list(output.glob("*.parquet"))
    if how != signal.SIGKILL:
        assert process.returncode == 130 and "Stopped." in told
        assert not list(output.glob(".*.tmp"))


def running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)
