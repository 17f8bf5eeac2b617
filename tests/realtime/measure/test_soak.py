import json

import pytest

from realtime.__main__ import main
from tests.realtime.support import paths

CLIP = str(paths.CLIP)


def test_memory_and_speed_are_watched(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("realtime.measure.soak.TURNS", 1)
    out = tmp_path / "soak.json"
    assert main(["soak", "--source", CLIP, "--frames", "260", "--json", str(out)]) == 0

    measured = json.loads(out.read_text())
    assert measured["frames"] == 260
    assert measured["growth"] < 50, "a few hundred frames must not fill the memory"
    assert measured["start_ms"] > 0 and measured["ids"] >= 1
    assert measured["slowdown_percent"] == pytest.approx(
        100 * measured["old_ms"] / measured["fresh_ms"] - 100
    )
    assert "growth" in capsys.readouterr().out


def test_the_age_of_what_is_shown_is_watched(tmp_path):
    out = tmp_path / "soak.json"
    command = ["soak", "--source", CLIP, "--frames", "30", "--camera-fps", "50"]
    assert main([*command, "--json", str(out)]) == 0

    measured = json.loads(out.read_text())
    assert measured["start_age_ms"] > 0 and measured["end_age_ms"] > 0
    assert measured["dropped"] >= 0 and measured["fresh_ms"] is None
