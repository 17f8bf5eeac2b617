"""What the README says of the files, run as it stands there."""

import re

import pytest

from tests.realtime.support.paths import ROOT

README = ROOT.joinpath("README.md").read_text()
SECTION = README.split("## Many videos\n")[1].split("\n## ")[0]
BLOCKS = {
    re.findall(r"^import (\w+)", block, re.MULTILINE)[0]: block
    for block in re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
}


@pytest.mark.parametrize("library", ["pandas", "polars", "duckdb"])
def test_the_lines_of_the_readme_read_the_files(library, undisturbed, monkeypatch, capsys):
    pytest.importorskip(library)
    monkeypatch.chdir(undisturbed[0].parent)
    exec(BLOCKS[library], {})
    printed = capsys.readouterr().out
    assert "face.mp4" in printed and "again.MP4" in printed
