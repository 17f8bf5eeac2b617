"""The examples in the docstrings are run as they stand."""

import doctest
import importlib

import pytest

from tests.realtime.support.paths import ROOT


@pytest.mark.parametrize(
    "module", ["realtime", "realtime.reader", "realtime.result", "realtime.results"]
)
def test_the_examples_of(module, monkeypatch):
    if module == "realtime.results":
        pytest.importorskip("pandas")
    monkeypatch.chdir(ROOT)
    done = doctest.testmod(importlib.import_module(module))
    assert done.attempted > 2 and done.failed == 0
