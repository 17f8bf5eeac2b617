"""The search for hostile files itself, in short: a few hundred mutations, and that it finds."""

from pathlib import Path

import pytest

from tests.realtime.hostile import fuzz as module
from tests.realtime.hostile.fuzz import fuzz, run_case
from tests.realtime.hostile.seeds import KINDS, mutated

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured on Linux alone"
)


def test_mutated_files_are_taken_or_refused(tmp_path):
    found = fuzz(300, 7, tmp_path / "fuzz")
    assert found.wrong == []
    assert found.outcomes.total() == 300
    for kind in set(KINDS):
        assert found.outcomes[f"{kind}: refused"] and found.outcomes[f"{kind}: taken"]


def test_a_case_is_the_same_again():
    assert mutated(12, 3) == mutated(12, 3) != mutated(12, 4)


@pytest.mark.parametrize(
    ("read", "outcome"),
    [
        (lambda *_: {}["missing"], "traceback"),
        (lambda *_: (bytearray(400 << 20).count(1) and "taken") or "taken", "memory"),
        (lambda *_: "taken", "taken"),
    ],
)
def test_what_is_wrong_is_found(tmp_path, monkeypatch, read, outcome):
    monkeypatch.setattr(module, "_read", read)
    assert run_case(0, 0, tmp_path, [])[0] == f"picture: {outcome}"


def test_a_file_elsewhere_is_found(tmp_path, monkeypatch):
    wrote = []
    monkeypatch.setattr(module, "_read", lambda *_: wrote.append("/elsewhere") or "taken")
    assert run_case(0, 0, tmp_path, wrote) == ("picture: wrote elsewhere", "/elsewhere")
