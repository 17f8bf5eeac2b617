"""The same on Ray: the same files."""

import os
import signal
import threading

import pytest

pytest.importorskip("ray")

import ray
from ray.cluster_utils import Cluster as Machines

from engine.contract import EngineError
from realtime.many.cluster import Cluster
from realtime.many.command import with_address
from realtime.many.run import read_videos
from tests.realtime.many.corpora import files
from tests.realtime.many.test_pool import running, until


def test_ray_without_an_address_is_ray_on_this_machine():
    assert with_address(["a", "--ray"]) == ["a", "--ray", "local"]
    assert with_address(["--ray", "a.mp4", "--output", "b"])[:3] == ["--ray", "local", "a.mp4"]
    for address in ("auto", "10.0.0.1:6379", "ray://head:10001"):
        assert with_address(["--ray", address, "a.mp4"]) == ["--ray", address, "a.mp4"]


def test_a_cluster_that_is_not_there(corpus, tmp_path):
    with pytest.raises(EngineError, match="There is no Ray cluster at auto"):
        read_videos([corpus], tmp_path, ray="auto", quiet=True)


@pytest.mark.slow
def test_the_files_are_those_of_the_pool(corpus, undisturbed, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with Cluster("local", 1, {"output": str(tmp_path)}):
        assert signal.getsignal(signal.SIGTERM) is before
    report = read_videos([corpus], tmp_path, workers=2, ray="local", quiet=True)
    assert (report.read, report.failed) == (4, 3)
    assert files(tmp_path) == files(undisturbed[0])
    again = read_videos([corpus], tmp_path, workers=1, ray="local", quiet=True)
    assert (again.read, again.known) == (0, 4)


@pytest.mark.slow
def test_two_machines_and_a_killed_worker(corpus, undisturbed, tmp_path):
    cluster = Machines(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        killer = threading.Thread(target=kill_one_at_work, args=(tmp_path,), daemon=True)
        killer.start()
        report = read_videos([corpus], tmp_path, ray=cluster.address, quiet=True)
    finally:
        ray.shutdown()
        cluster.shutdown()
    killer.join(timeout=1)
    assert (report.read, report.failed) == (4, 3)
    assert files(tmp_path) == files(undisturbed[0])


def kill_one_at_work(output) -> None:
    """The first worker that has begun a file, whose number is in the name."""
    until(lambda: list(output.rglob(".*.tmp")))
    for path in output.rglob(".*.tmp"):
        pid = int(path.name.split(".")[-2])
        if running(pid):
            os.kill(pid, signal.SIGKILL)
            return
