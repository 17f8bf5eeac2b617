import json

import pytest

from realtime.__main__ import main
from tests.realtime.support import paths

CLIP = str(paths.CLIP)


@pytest.mark.parametrize("frames", [80, pytest.param(300, marks=pytest.mark.slow)])
def test_a_still_face_stands_still_before_a_noisy_camera(tmp_path, capsys, frames):
    out = tmp_path / "still.json"
    assert main(["still", "--source", CLIP, "--frames", str(frames), "--json", str(out)]) == 0

    measured = json.loads(out.read_text())
    assert measured["raw"]["box_px"] > 0, "the noise is there"
    assert measured["raw"]["box_px"] < 0.3
    assert measured["smoothed"]["box_px"] < 0.5 * measured["raw"]["box_px"]
    assert measured["smoothed"]["landmarks_px"] < 0.1
    assert measured["raw"]["pose_degrees"] < 0.3
    assert measured["smoothed"]["pose_degrees"] < 0.15
    assert measured["smoothed"]["label_changes"] == measured["raw"]["label_changes"] == 0
    assert "smoothed" in capsys.readouterr().out


def test_bad_input_is_one_clear_line(capsys):
    for extra, words in ((["--frames", "3"], "or more"), (["--source", "none.mp4"], "none.mp4")):
        assert main(["still", "--source", CLIP, *extra]) == 1
        error = capsys.readouterr().err.strip()
        assert words in error and "\n" not in error
