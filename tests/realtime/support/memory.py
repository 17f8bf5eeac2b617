"""What the code of realtime holds in memory."""

import gc
import tracemalloc

from tests.realtime.support.paths import ROOT


def held_by_realtime() -> int:
    """Bytes that the code of realtime allocated and holds, of those that tracemalloc traces: other
    threads of the tests, and modules that are imported late, allocate as they like."""
    gc.collect()
    ours = tracemalloc.Filter(True, str(ROOT / "realtime" / "*"))
    found = tracemalloc.take_snapshot().filter_traces([ours])
    return sum(each.size for each in found.traces)
