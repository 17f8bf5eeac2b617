"""The command line of the page."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import gradio_app
from tests.realtime.web.conftest import free_port

ROOT = Path(__file__).resolve().parents[1]


class Running:
    """``python gradio_app.py`` in a process of its own, with a folder for temporary files."""

    def __init__(self, folder: Path, *options: str):
        self.folder, self.port = folder, free_port()
        self.process = subprocess.Popen(
            [sys.executable, "gradio_app.py", "--backend", "onnxruntime", "--port", str(self.port), *options],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"TMPDIR": str(folder)},
        )  # fmt: skip

    def __enter__(self):
        self.printed = ""
        for line in self.process.stdout:
            self.printed += line
            if line.startswith("Open"):
                break
        return self

    def __exit__(self, *exception):
        self.process.terminate()
        self.errors = self.process.communicate(timeout=30)[1]


def test_it_serves_says_what_runs_and_leaves_nothing(tmp_path):
    with Running(tmp_path) as app:
        url = f"http://127.0.0.1:{app.port}/"
        assert url in app.printed and re.search(r"sha256 \w{12}", app.printed)
        for name in ("ipd_fer", "mtcnn_pnet", "mtcnn_rnet", "mtcnn_onet"):
            assert re.search(rf"^Engine   {name}\S*: ONNX Runtime", app.printed, re.MULTILINE)
        page = httpx.get(url).text
        assert "fonts.googleapis" not in page
        upload = {"files": ("picture.png", b"data", "image/png")}
        assert httpx.post(f"{url}gradio_api/upload", files=upload).status_code == 200
        (folder,) = tmp_path.iterdir()
        assert len(list(folder.rglob("picture.png"))) == 1
    assert app.process.returncode == 0 and app.errors == "Stopped.\n"
    assert list(tmp_path.iterdir()) == []
    assert not list(ROOT.joinpath("realtime").rglob("*.pyi"))  # Gradio writes them if it can


def test_with_auth_the_page_asks_who_comes(tmp_path):
    with Running(tmp_path, "--auth", "anna:s3cret:word", "--host", "0.0.0.0") as app:
        url = f"http://127.0.0.1:{app.port}/"
        body = {"session_hash": "x", "component_id": 1, "fn_name": "open_stream", "data": None}
        assert httpx.get(f"{url}config").status_code == 401
        assert httpx.post(f"{url}gradio_api/component_server", json=body).status_code == 401
        login = {"username": "anna", "password": "s3cret:word"}
        with httpx.Client(base_url=url) as client:
            assert client.post("login", data=login | {"password": "no"}).status_code == 400
            assert client.post("login", data=login).status_code == 200
            assert client.get("config").status_code == 200
    assert "Warning" not in app.errors


def test_open_to_everybody_is_told(tmp_path):
    with Running(tmp_path, "--host", "0.0.0.0", "--root-path", "/faces") as app:
        config = httpx.get(f"http://127.0.0.1:{app.port}/config").json()
        assert config["root"].endswith("/faces")
    assert app.errors.startswith("Warning: anybody who reaches 0.0.0.0") and "--auth" in app.errors


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--auth", "anna"], "USER:PASSWORD"),
        (["--max-streams", "0"], "1 or more"),
        (["--host", "203.0.113.7"], "Cannot listen on 203.0.113.7"),
        (["--port", "99999"], "Choose another --host or --port"),
        (["--device", "cuda", "--backend", "openvino"], "does not run on cuda"),
    ],
)
def test_options_that_cannot_work_are_one_line(options, words, capsys):
    assert gradio_app.main([*options]) == 1
    error = capsys.readouterr().err.strip()
    assert words in error and "\n" not in error


def test_a_port_that_is_taken(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert gradio_app.main(["--port", str(taken.getsockname()[1])]) == 1
    assert "Choose another" in capsys.readouterr().err


def test_the_page_needs_no_torch():
    program = "import sys, gradio_app, realtime.web.page; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in result.stdout.split()}
    assert "gradio" in loaded and not loaded & {"torch", "facenet_pytorch", "train"}


@pytest.fixture(autouse=True)
def signals():
    """main() takes the signal for itself; give it back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)
