import numpy as np
import pytest

from engine.contract import EngineError, TensorInfo
from engine.measure import bench_report, benchmark
from engine.measure.benchmark import Timing, measure, random_inputs


def test_runners_take_turns_and_the_warm_up_does_not_count(monkeypatch):
    monkeypatch.setattr(benchmark, "PAUSE", 0.0)
    calls = []

    def runner(name, seconds):
        def run(arrays):
            calls.append((name, len(arrays["values"])))
            # The first round is the warm-up, as is the first run of a turn: either would spoil
            # every figure.
            return seconds if len(calls) > 8 and len(calls) % 2 == 0 else 1000.0

        return run

    inputs = {size: {"values": np.zeros((size, 3))} for size in (1, 4)}
    timings = measure({"a": runner("a", 0.001), "b": runner("b", 0.002)}, inputs, repeats=10)
    assert timings == [
        Timing("a", 1, 1.0, 1.0, 1000.0),
        Timing("a", 4, 1.0, 1.0, 4000.0),
        Timing("b", 1, 2.0, 2.0, 500.0),
        Timing("b", 4, 2.0, 2.0, 2000.0),
    ]
    assert calls[::2] == calls[1::2], "each turn runs twice"
    rounds = [calls[start : start + 8 : 2] for start in range(0, len(calls), 8)]
    assert len(rounds) == 11 and all(set(one) == set(rounds[0]) for one in rounds)
    assert len({tuple(one) for one in rounds}) > 1


def test_inputs_fit_the_model():
    faces = TensorInfo("faces", np.dtype(np.uint8), ("batch", 112, 112, 3))
    assert [arrays["faces"].shape[0] for arrays in random_inputs((faces,)).values()] == [
        *benchmark.BATCH_SIZES
    ]
    frames = TensorInfo("images", np.dtype(np.float32), (2, "height", "width", 3))
    (arrays,) = random_inputs((frames,)).values()
    assert arrays["images"].shape == (2, 120, 160, 3) and arrays["images"].dtype == np.float32
    strange = TensorInfo("sound", np.dtype(np.float32), ("batch", "samples"))
    with pytest.raises(EngineError, match="free dimension samples, for which bench knows no size"):
        random_inputs((strange,))


def test_the_table_has_a_line_for_each_timing():
    way = "OpenVINO int8"
    timings = [Timing(way, 1, 1.234, 2.0, 810.4), Timing(way, 2, 2, 3, 1000)]
    lines = bench_report.table(timings).splitlines()
    assert len(lines) == 3
    assert lines[1].split() == ["OpenVINO", "int8", "1", "1.23", "2.00", "810.4"]
