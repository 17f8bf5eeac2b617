import gc
import subprocess
import sys
import threading

import pytest

from engine.backends.tensorrt.inference_thread import InferenceThread
from engine.contract import EngineError


def test_everything_runs_in_the_one_thread():
    thread = InferenceThread("test")
    seen = {thread.call(threading.get_ident) for _ in range(5)}
    assert len(seen) == 1 and threading.get_ident() not in seen
    thread.stop()


def test_errors_come_back_to_the_caller():
    class Special(EngineError):
        pass

    def fail(error):
        raise error

    thread = InferenceThread("test")
    with pytest.raises(Special, match="told") as raised:
        thread.call(fail, Special("told"))
    # Only frames of this thread: those of the other would keep its objects alive.
    assert all(entry.name != "fail" for entry in raised.traceback)
    with pytest.raises(ZeroDivisionError):
        thread.call(fail, ZeroDivisionError())
    assert thread.call(int, "7") == 7
    thread.stop()


def test_stop_ends_what_was_asked_before_and_cleans_up_in_the_thread():
    thread = InferenceThread("test")
    cleaned = []
    thread.on_stop(lambda: cleaned.append(threading.get_ident()))
    ident = thread.call(threading.get_ident)
    thread.stop()
    thread.stop()
    assert cleaned == [ident]
    with pytest.raises(EngineError, match="closed"):
        thread.call(int)


def test_stop_waits_for_a_call_that_runs():
    thread = InferenceThread("test")
    started, go_on = threading.Event(), threading.Event()
    results = []

    def work():
        started.set()
        go_on.wait(10)
        return "done"

    caller = threading.Thread(target=lambda: results.append(thread.call(work)))
    caller.start()
    started.wait(10)
    stopper = threading.Thread(target=thread.stop)
    stopper.start()
    stopper.join(0.05)
    assert stopper.is_alive()
    go_on.set()
    stopper.join(10)
    caller.join(10)
    assert results == ["done"]


def test_a_forgotten_thread_ends():
    thread = InferenceThread("forgotten")
    cleaned = []
    thread.on_stop(lambda: cleaned.append(True))
    del thread
    gc.collect()
    assert cleaned == [True]
    assert all(other.name != "forgotten" for other in threading.enumerate())


def test_python_exits_cleanly_with_an_open_thread():
    program = (
        "from engine.backends.tensorrt.inference_thread import InferenceThread\n"
        "thread = InferenceThread('open')\n"
        "thread.on_stop(lambda: print('cleaned up', flush=True))\n"
        "print(thread.call(int, '7'))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.split("\n") == ["7", "cleaned up", ""]
