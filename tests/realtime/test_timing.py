import threading

from realtime.timing import StageTimer


def test_one_thread_adds_while_another_reads():
    """As the search does, beside the thread that shows the age of the picture."""
    timer, over = StageTimer(), threading.Event()

    def add():
        number = 0
        while not over.is_set():
            timer.add(f"stage {number % 500}", 0.001)
            number += 1

    adding = threading.Thread(target=add)
    adding.start()
    try:
        for _ in range(100):
            timer.summary()
            timer.series()
            timer.stage("stage 1")
            timer.clear()
    finally:
        over.set()
        adding.join()


def test_median_and_p95_in_milliseconds():
    timer = StageTimer()
    for seconds in (0.001, 0.002, 0.003):
        timer.add("align", seconds)
    found = timer.summary()["align"]
    assert abs(found["median_ms"] - 2) < 1e-9 and abs(found["p95_ms"] - 2.9) < 1e-9
    assert timer.stage("align") == found and timer.stage("draw") is None
    assert timer.series()["align"].shape == (3, 2)
