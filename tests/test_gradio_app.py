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


def ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


class Running:
    """``python gradio_app.py`` in a process of its own, with a folder for temporary files."""

    def __init__(self, folder: Path, *options: str, **environment: str):
        self.folder, self.port = folder, free_port()
        command = [sys.executable, "gradio_app.py", "--backend", "onnxruntime"]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), *options],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"TMPDIR": str(folder)} | environment,
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


def test_the_password_may_come_from_where_ps_does_not_show_it(tmp_path):
    secret = tmp_path / "login"
    secret.write_text("anna:s3cret:word\n")
    secret.chmod(0o600)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for given in ({"FACES_AUTH": "anna:s3cret:word"}, {}):
        options = [] if given else ["--auth-file", str(secret)]
        with Running(temporary, *options, "--host", "0.0.0.0", **given) as app:
            url = f"http://127.0.0.1:{app.port}/"
            assert httpx.get(f"{url}config").status_code == 401
            login = {"username": "anna", "password": "s3cret:word"}
            assert httpx.post(f"{url}login", data=login).status_code == 200
        assert app.errors == "Stopped.\n" and "s3cret" not in app.printed


def test_a_password_that_others_can_read_is_told(tmp_path, capsys):
    secret = tmp_path / "login"
    secret.write_text("anna")
    secret.chmod(0o644)
    assert gradio_app.main(["--auth-file", str(secret)]) == 1
    assert f"Say chmod 600 {secret}" in capsys.readouterr().err


@pytest.mark.skipif(not ipv6(), reason="needs IPv6")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_ipv6(tmp_path, host):
    with Running(tmp_path, "--host", host) as app:
        url = f"http://[::1]:{app.port}/"
        assert url in app.printed
        assert httpx.get(f"{url}config", headers={"Origin": url[:-1]}).status_code == 200
    assert app.process.returncode == 0 and app.errors == "Stopped.\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs locks on files")
def test_the_folder_of_a_server_that_was_killed_goes_and_no_other(tmp_path):
    stranger, link, outside = (tmp_path / name for name in ("faces-mine", "faces-link", "outside"))
    for folder in (stranger, outside):
        folder.mkdir()
        (folder / "letter.txt").write_text("mine")
    link.symlink_to(outside)
    linked = tmp_path / "faces-linked"
    linked.mkdir()
    (linked / ".in-use").symlink_to(outside / "letter.txt")
    own = {stranger, link, outside, linked}
    with Running(tmp_path) as killed, Running(tmp_path) as living:
        (dead,) = [folder for folder in set(tmp_path.iterdir()) - own if is_of(killed, folder)]
        killed.process.kill()
        killed.process.wait()
        assert dead.exists()
        (kept,) = set(tmp_path.iterdir()) - own - {dead}
        with Running(tmp_path):
            assert not dead.exists() and kept.exists()
            assert httpx.get(f"http://127.0.0.1:{living.port}/").status_code == 200
    assert set(tmp_path.iterdir()) == own
    assert (outside / "letter.txt").read_text() == "mine" == (stranger / "letter.txt").read_text()


def is_of(app: Running, folder: Path) -> bool:
    """Whether the files of a server are in this folder."""
    upload = {"files": ("whose.png", folder.name.encode(), "image/png")}
    (path,) = httpx.post(f"http://127.0.0.1:{app.port}/gradio_api/upload", files=upload).json()
    return Path(path).is_relative_to(folder)


def test_open_to_everybody_is_told(tmp_path):
    with Running(tmp_path, "--host", "0.0.0.0", "--root-path", "/faces") as app:
        config = httpx.get(f"http://127.0.0.1:{app.port}/config").json()
        assert config["root"].endswith("/faces")
    assert app.errors.startswith("Warning: anybody who reaches 0.0.0.0") and "--auth" in app.errors


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--auth", "anna"], "USER:PASSWORD"),
        (["--auth-file", "missing"], "--auth-file missing cannot be read: No such file"),
        (["--auth-file", "missing", "--auth", "anna:s"], "not both"),
        (["--allow-origin", "example.org"], "like https://example.org"),
        (["--max-streams", "0"], "1 or more"),
        (["--host", "203.0.113.7"], "Cannot listen on 203.0.113.7"),
        (["--host", ""], "--host is empty"),
        (["--host", "[]"], "--host is empty"),
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
