import json

import pytest

from engine import registry
from engine.backends import INT8_FLAVOURS
from engine.contract import EngineError
from engine.session import open_session


def test_every_shipped_model_is_listed_and_matches():
    files = {path.name for path in registry.MODELS.glob("*.onnx")}
    assert files == {entry.file for entry in registry.entries().values()}
    for name, entry in registry.entries().items():
        with open_session(registry.MODELS / entry.file, "onnxruntime", "cpu") as session:
            assert session.sha256 in {other.sha256 for other in registry.entries().values()}
        assert registry.read(registry.find(name)).sha256 == entry.sha256
        assert (registry.MODELS / entry.file).stat().st_size == entry.size
        assert "python -m train export" in entry.made_by or "engine quantize" in entry.made_by
        assert entry.licence and entry.source


def test_opens_by_name_and_by_path(models_folder):
    path = models_folder / "doubling.onnx"
    for model in ("doubling", path, str(path)):
        with open_session(model) as session:
            assert session.path.name == "doubling.onnx"


def test_an_unknown_name_lists_the_shipped_models(models_folder):
    with pytest.raises(EngineError, match="no model nothing. Shipped models: doubling."):
        open_session("nothing")


def test_a_name_that_is_too_long():
    with pytest.raises(EngineError, match="File name too long: check the path"):
        open_session("a" * 300)


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


@pytest.mark.parametrize("flavour", INT8_FLAVOURS.values(), ids=list(INT8_FLAVOURS))
def test_a_shipped_int8_model_was_made_from_the_shipped_model(flavour):
    for name in registry.entries():
        if (registry.MODELS / f"{name}{flavour.suffix}").is_file():
            model = registry.read(registry.find(name))
            assert registry.int8_flavour(model, flavour).precision == "int8"


def test_an_int8_model_is_opened_by_name_too(models_folder, int8_model):
    for path in int8_model.parent.glob("face*.onnx"):
        (models_folder / path.name).write_bytes(path.read_bytes())
        facts = {"made_by": "a command", "source": "here", "licence": "MIT"}
        registry.register(models_folder / path.name, **facts)
    assert list(registry.entries()) == ["doubling", "face", "face.int8", "face.trt-int8"]
    with open_session("face.int8", "onnxruntime", "cpu") as session:
        assert (session.path.name, session.precision) == ("face.int8.onnx", "int8")
    with open_session("face", "onnxruntime", "cpu") as session:
        assert (session.path.name, session.precision) == ("face.int8.onnx", "int8")


def test_register_adds_and_replaces_entries(tmp_path):
    facts = {"made_by": "a command", "source": "here", "licence": "MIT"}
    for name, content in (("b", b"two"), ("a", b"one"), ("a", b"three")):
        (tmp_path / f"{name}.onnx").write_bytes(content)
        registry.register(tmp_path / f"{name}.onnx", **facts, labels=["x", "y"])
    known = json.loads((tmp_path / "models.json").read_text())
    assert list(known) == ["a", "b"]
    assert known["a"]["size"] == 5 and known["a"]["labels"] == ["x", "y"]
    assert registry.listed(tmp_path / "a.onnx").made_by == "a command"
    assert registry.listed(tmp_path / "c.onnx") is None


def test_register_leaves_a_listing_that_it_cannot_read(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"one")
    (tmp_path / "models.json").write_text("{")
    with pytest.raises(EngineError, match="models.json cannot be read"):
        registry.register(tmp_path / "a.onnx", made_by="", source="", licence="", labels=[])
    assert (tmp_path / "models.json").read_text() == "{"
