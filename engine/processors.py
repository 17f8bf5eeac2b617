"""How many processors this process may use.

os.cpu_count() counts those of the machine. Under taskset, in a container or under a batch system a
process may use fewer, and threads for the rest only get into each other's way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
"""Where Linux shows control groups; in version 1 a folder in it for each controller."""

MEMBERSHIP = Path("/proc/self/cgroup")
"""A line for each hierarchy: number, controllers, and the group of this process in it."""


def usable() -> int:
    """Processors that affinity and the quota of the control group leave to this process, at least
    1. A quota of one and a half counts as two."""
    quota = cgroup_quota()
    allowed = _allowed()
    return allowed if quota is None else max(1, min(allowed, -int(-quota // 1)))


def restricted() -> int | None:
    """:func:`usable` where that is fewer than the machine has, else None."""
    count = usable()
    return count if count < (os.cpu_count() or 1) else None


def cgroup_quota() -> float | None:
    """Processors' worth of time that the control group and those above it allow; None for no
    limit, and where there are no control groups."""
    quotas = [quota for group in _groups() if (quota := _quota(group)) is not None]
    return min(quotas, default=None)


def _allowed() -> int:
    """Processors that the affinity of this process names."""
    if hasattr(os, "process_cpu_count"):  # From Python 3.13 on.
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # Linux alone.
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups() -> Iterator[Path]:
    """The folders of the groups that limit this process: its own and all above."""
    try:
        lines = MEMBERSHIP.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            roots = [CGROUPS, CGROUPS / "unified"]
        elif "cpu" in controllers.split(","):
            roots = [CGROUPS / controllers, CGROUPS / "cpu"]
        else:
            continue
        # A container may see its own group as the root, under the path that it has outside.
        group = PurePosixPath(path.lstrip("/"))
        for root in roots:
            yield from (root / part for part in (group, *group.parents))


def _quota(group: Path) -> float | None:
    """The limit in one group's folder, by version 2 or 1; None where it sets none."""
    limit = _numbers(group / "cpu.max")
    limit = limit or _numbers(group / "cpu.cfs_quota_us") + _numbers(group / "cpu.cfs_period_us")
    if len(limit) != 2 or min(limit) <= 0:
        return None
    quota, period = limit
    return quota / period


def _numbers(path: Path) -> tuple[int, ...]:
    """The numbers in a file, empty where it has none or is not there; "max" stands for no limit."""
    try:
        return tuple(int(word) for word in path.read_text().replace("max", "-1").split())
    except (OSError, ValueError):
        return ()
