"""Fixtures for all tests, and what several processes that share them need."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
    # Read when torch is imported. With a thread for every core each, workers wait for one another.
    threads = max(1, (os.cpu_count() or 1) // workers)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give the tests of a file to one worker, so that what they share is made once; those of the
    page all to one, for a browser beside another is too slow to be live."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            page = "tests/realtime/web/"
            return page if nodeid.startswith(page) else super()._split_scope(nodeid)

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of research data beside the repository; skips the test where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the research data in {folder}")
    return folder
