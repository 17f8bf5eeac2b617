import pytest

from engine.contract import EngineError
from realtime.recognise import Recogniser
from tests.realtime.support.sessions import fake_sessions


def test_a_model_of_another_kind_is_refused():
    with pytest.raises(EngineError, match="not a face model"):
        Recogniser("mtcnn_onet")


@pytest.mark.parametrize("labels", ["not json", "5", "[1, 2]", '["joy"]'])
def test_a_model_whose_labels_are_none_is_refused_and_closed(monkeypatch, labels):
    opened = fake_sessions(monkeypatch, labels=labels)
    with pytest.raises(EngineError, match="model.onnx"):
        Recogniser("ipd_fer")
    assert [session.closed for session in opened] == [True]
