import dataclasses
import hashlib
from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from train.errors import UserError
from train.export.mtcnn import import_facenet_pytorch
from train.networks.facenet import FACENET, load_facenet

WEIGHTS = b"as published"


@pytest.fixture(autouse=True)
def published(tmp_path, monkeypatch):
    """The library's folder, empty, and a network whose published weights are WEIGHTS."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(
        import_facenet_pytorch(), "InceptionResnetV1", lambda pretrained: pretrained
    )
    known = FACENET["facenet-casia"]
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    monkeypatch.setitem(FACENET, "facenet-casia", dataclasses.replace(known, sha256=sha256))
    return tmp_path / "checkpoints" / known.file


@pytest.fixture
def network(monkeypatch):
    """What the network answers; it can be changed. Its second entry counts the transfers."""
    answer = [WEIGHTS, 0]

    def fetch(url, path):
        assert url.endswith("/20180408-102900-casia-webface.pt")
        if isinstance(answer[0], OSError):
            raise answer[0]
        answer[1] += 1
        Path(path).write_bytes(answer[0])

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    return answer


def test_weights_are_fetched_once_to_where_the_library_looks(network, published):
    assert load_facenet("facenet-casia") == load_facenet("facenet-casia") == "casia-webface"
    assert network[1] == 1 and published.read_bytes() == WEIGHTS


@pytest.mark.parametrize("came", [b"", WEIGHTS[:-1], b"<html>Please log in</html>"])
def test_what_is_not_the_published_file_is_never_read_as_weights(network, published, came):
    network[0] = came
    for _ in range(2):
        with pytest.raises(UserError, match="casia-webface.pt is not the file.*Delete it") as error:
            load_facenet("facenet-casia")
        assert "\n" not in str(error.value)
    network[0] = WEIGHTS
    published.unlink()
    assert load_facenet("facenet-casia") == "casia-webface"


def test_without_a_network_it_says_what_to_do(network, published):
    network[0] = URLError("Network is unreachable")
    with pytest.raises(
        UserError, match="could not be fetched .*unreachable.*Connect once, or give"
    ):
        load_facenet("facenet-casia")
    assert not published.exists()


def test_where_the_library_looks_is_where_the_library_itself_says(published, monkeypatch):
    """With the weights in place, the real library opens that very file and asks no network."""
    monkeypatch.undo()
    monkeypatch.setenv("TORCH_HOME", str(published.parents[1]))
    published.parent.mkdir()
    published.write_bytes(WEIGHTS)
    opened = []
    monkeypatch.setattr(torch, "load", lambda file, *_, **__: opened.append(Path(file)) or {})
    with pytest.raises(RuntimeError, match="Missing key"):
        import_facenet_pytorch().InceptionResnetV1(pretrained="casia-webface")
    assert opened == [published]
