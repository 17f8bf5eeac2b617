import sys

import cv2
import numpy as np

from realtime.__main__ import main
from realtime.measure.plot import plot
from tests.realtime.support.paths import CLIP


def stage(seconds, count=100) -> np.ndarray:
    return np.column_stack([np.arange(count), np.broadcast_to(seconds, count)])


def drawn(series) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(plot(series), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert image.shape[1] > image.shape[0] > 300
    return image


def height(image, color) -> float:
    """The mean row of what is drawn in a colour, below the names."""
    return np.nonzero(np.abs(image[30:].astype(int) - color).sum(axis=2) < 120)[0].mean()


def test_a_slow_stage_lies_above_a_quick_one():
    image = drawn({"refine": stage(0.001), "search": stage(0.004), "detect": stage(0.1, 3)})
    colors = ((31, 119, 180), (255, 127, 14), (44, 160, 44))
    blue, orange, green = (height(image, color) for color in colors)
    assert blue > orange + 100, "three long frames do not flatten the rest"
    assert green < orange, "and are seen at the end of the scale"


def test_a_long_run_and_none_at_all_can_be_drawn():
    random = np.random.default_rng(0).random(9999)
    nothing = drawn({})
    assert (drawn({"refine": stage(random, 9999)}) != nothing).any()
    assert (drawn({"refine": stage(0.0, 1)}) != nothing).any()


def test_without_matplotlib_one_line_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "realtime.measure.plot", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # as where it is not installed
    lines, picture = tmp_path / "out.jsonl", tmp_path / "stages.png"
    command = ["--source", str(CLIP), "--no-display", "--jsonl", str(lines)]
    assert main([*command, "--profile-plot", str(picture)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and 'pip install ".[measure]"' in said
    assert not lines.exists() and not picture.exists(), "told before the run, not after it"
