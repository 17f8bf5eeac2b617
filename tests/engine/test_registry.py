import json

import pytest

from engine import registry
from engine.session import EngineError, open_session


def test_every_shipped_model_is_listed_and_matches():
    files = {path.name for path in registry.MODELS.glob("*.onnx")}
    assert files == {entry.file for entry in registry.entries().values()}
    for name, entry in registry.entries().items():
        with open_session(name, device="cpu") as session:
            assert session.sha256 == entry.sha256
        assert (registry.MODELS / entry.file).stat().st_size == entry.size
        assert "python -m train export" in entry.made_by
        assert entry.licence and entry.source


def test_opens_by_name_and_by_path(models_folder):
    path = models_folder / "doubling.onnx"
    for model in ("doubling", path, str(path)):
        with open_session(model) as session:
            assert session.path.name == "doubling.onnx"


def test_an_unknown_name_lists_the_shipped_models(models_folder):
    with pytest.raises(EngineError, match="no model nothing. Shipped models: doubling."):
        open_session("nothing")


def test_a_flipped_byte_is_found_before_use(models_folder):
    path = models_folder / "doubling.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for model in ("doubling", path):
        with pytest.raises(EngineError, match="does not match .*: reinstall, or restore the file"):
            open_session(model)


def test_a_file_put_into_the_models_folder_must_be_listed(models_folder):
    content = (models_folder / "doubling.onnx").read_bytes()
    (models_folder / "other.onnx").write_bytes(content)
    with pytest.raises(EngineError, match="other.onnx is not listed"):
        open_session("other")


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 1}', json.dumps({"a": {"colour": "red"}})])
def test_a_damaged_listing(models_folder, text):
    (models_folder / "models.json").write_text(text)
    with pytest.raises(EngineError, match="models.json cannot be read"):
        open_session("doubling")
