"""A corpus and its files, made once."""

import pytest

pytest.importorskip("pyarrow")

from realtime.many.run import read_videos
from tests.realtime.many.corpora import make_corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory, short_clip):
    return make_corpus(tmp_path_factory.mktemp("corpus") / "corpus", short_clip)


@pytest.fixture(scope="session")
def undisturbed(corpus, tmp_path_factory):
    """What a run that nobody disturbs makes of it, and what it says."""
    output = tmp_path_factory.mktemp("undisturbed") / "faces"
    return output, read_videos([corpus], output, workers=2, quiet=True)
