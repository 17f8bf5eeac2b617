"""Stand-ins for the engine's sessions."""

from pathlib import Path
from types import SimpleNamespace

from engine.contract import EngineError


def fake_sessions(monkeypatch, fails: str = "", labels: str = '["neutral"]') -> list:
    """Sessions that note whether they are closed, in place of the engine's; one name cannot be
    opened. Returns those that were opened."""
    opened = []

    class Session:
        path, closed, description = Path("model.onnx"), False, "nothing"

        def __init__(self):
            self.metadata = {"labels": labels}
            self.inputs = [SimpleNamespace(name="faces", shape=(None, 112, 112, 3))]
            names = ("expression", "pose")
            self.outputs = [SimpleNamespace(name=name, shape=(None, 3)) for name in names]

        def close(self) -> None:
            self.closed = True

    def open_session(model, *arguments, **options):
        if model == fails:
            raise EngineError(f"{model} cannot be opened.")
        opened.append(Session())
        return opened[-1]

    monkeypatch.setattr("realtime.recognise.open_session", open_session)
    monkeypatch.setattr("realtime.detection.mtcnn.open_session", open_session)
    return opened
