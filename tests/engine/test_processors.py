import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine import processors

ROOT = Path(__file__).resolve().parents[2]

V2 = "0::/user/job\n"
V1 = "9:name=systemd:/\n3:cpuset:/\n2:cpu,cpuacct:/docker/ab12\n0::/\n"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Eight processors, and groups as the files given: path in the cgroup folder → content."""

    def make(membership, files):
        for name, content in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        if membership is not None:
            (tmp_path / "membership").write_text(membership)
        monkeypatch.setattr(processors, "CGROUPS", tmp_path / "cgroup")
        monkeypatch.setattr(processors, "MEMBERSHIP", tmp_path / "membership")
        monkeypatch.setattr(processors, "_allowed", lambda: 8)
        monkeypatch.setattr(os, "cpu_count", lambda: 8)

    return make


@pytest.mark.parametrize(
    ("membership", "files", "count"),
    [
        (None, {}, 8),
        ("", {}, 8),
        (V2, {}, 8),
        (V2, {"user/job/cpu.max": "max 100000\n"}, 8),
        (V2, {"user/job/cpu.max": "200000 100000\n"}, 2),
        (V2, {"user/job/cpu.max": "150000 100000\n"}, 2),
        (V2, {"user/job/cpu.max": "10000 100000\n"}, 1),
        (V2, {"user/job/cpu.max": "3200000 100000\n"}, 8),
        (V2, {"user/job/cpu.max": "max 100000\n", "user/cpu.max": "300000 100000\n"}, 3),
        # A container sees its own group as the root.
        (V2, {"cpu.max": "400000 100000\n"}, 4),
        ("0::/../..\n", {"cpu.max": "400000 100000\n"}, 4),
        (V2, {"user/job/cpu.max": "nonsense\n"}, 8),
        (V2, {"user/job/cpu.max": "200000\n"}, 8),
        (V2, {"user/job/cpu.max": "200000 0\n"}, 8),
        (
            V1,
            {
                "cpu/docker/ab12/cpu.cfs_quota_us": "250000\n",
                "cpu/docker/ab12/cpu.cfs_period_us": "100000\n",
            },
            3,
        ),
        (
            V1,
            {"cpu,cpuacct/cpu.cfs_quota_us": "50000", "cpu,cpuacct/cpu.cfs_period_us": "50000"},
            1,
        ),
        (V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
    ],
)
def test_the_quota_of_the_control_group_counts(machine, membership, files, count):
    machine(membership, files)
    assert processors.usable() == count
    assert processors.restricted() == (None if count == 8 else count)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is Linux's")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two processors")
def test_affinity_counts():
    one = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, [{one}]); from engine import processors; "
        "print(processors.usable(), processors.restricted())"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "1 1\n"
