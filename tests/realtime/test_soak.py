import json
from pathlib import Path

from realtime.__main__ import main

CLIP = str(Path(__file__).resolve().parents[1] / "data/astronaut.mp4")


def test_memory_and_speed_are_watched(tmp_path, capsys):
    out = tmp_path / "soak.json"
    assert main(["soak", "--source", CLIP, "--frames", "520", "--json", str(out)]) == 0

    measured = json.loads(out.read_text())
    assert measured["frames"] == 520
    assert measured["growth"] < 50, "a few hundred frames must not fill the memory"
    assert measured["start_ms"] > 0 and measured["ids"] >= 2
    assert "growth" in capsys.readouterr().out


def test_the_age_of_what_is_shown_is_watched(tmp_path):
    out = tmp_path / "soak.json"
    command = ["soak", "--source", CLIP, "--frames", "30", "--camera-fps", "50"]
    assert main([*command, "--json", str(out)]) == 0

    measured = json.loads(out.read_text())
    assert measured["start_age_ms"] > 0 and measured["end_age_ms"] > 0
    assert measured["dropped"] >= 0
