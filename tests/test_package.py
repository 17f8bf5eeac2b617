"""What pip installs is whole: built, installed beside the libraries that are here, and run from an
empty folder, where nothing of the repository is in reach."""

import json
import os
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import av
import httpx
import pytest

from tests.realtime.web.conftest import free_port

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("engine", "realtime", "train")
LOOSE = ("pyproject.toml", "README.md", "LICENSE", "gradio_app.py")
NOT_CARRIED = {"train/README.md"}  # of the repository

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A copy of what a wheel is built from, for building leaves folders behind."""
    pytest.importorskip("setuptools", "77", reason="a wheel is built with setuptools 77 or newer")
    copy = tmp_path_factory.mktemp("repository")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in LOOSE:
        shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory) -> Path:
    return built(repository, "wheel", tmp_path_factory.mktemp("wheel"))


def built(source: Path, kind: str, folder: Path) -> Path:
    """The wheel or sdist of `source`, by the back end that pip would ask, without a network."""
    program = f"from setuptools import build_meta; build_meta.build_{kind}({str(folder)!r})"
    run([sys.executable, "-c", program], source)
    (made,) = folder.iterdir()
    return made


def run(command: list, folder: Path) -> str:
    """What a command prints in `folder`; fails with its errors where it does not succeed."""
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory) -> Path:
    """The folder of programs of a fresh environment that has the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    run([sys.executable, "-m", "venv", "--without-pip", folder], folder)
    python = folder / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index"]
    run([*pip, wheel], folder)
    # Its libraries are those that are here. A package that is installed here in place of a copy
    # stays out, for files that say so are not read in a folder that is added like this.
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "libraries.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    where = "import engine, realtime; print(engine.__file__, realtime.__file__)"
    assert run([python, "-c", where], folder).count(str(own)) == 2
    return folder / "bin"


def files_of(folder: Path) -> set[str]:
    """All files of the packages in it."""
    found = (path for name in PACKAGES for path in (folder / name).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix() for path in found}


def test_the_wheel_holds_every_file_of_its_packages(repository, wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert files_of(repository) - names == NOT_CARRIED
    assert "gradio_app.py" in names and "engine/models/MODEL_CARD.md" in names


def test_a_wheel_from_the_sdist_is_the_same(repository, wheel, tmp_path):
    sdist = built(repository, "sdist", tmp_path / "sdist")
    shutil.unpack_archive(sdist, tmp_path)
    (source,) = tmp_path.glob("ipd_fer-*")
    again = built(source, "wheel", tmp_path / "wheel")
    assert zipfile.ZipFile(again).namelist() == zipfile.ZipFile(wheel).namelist()


def test_the_demo(programs, tmp_path):
    printed = run([programs / "ipd-fer", "demo"], tmp_path)
    assert "Written: annotated.mp4 and faces.jsonl" in printed and "ipd-fer --camera 0" in printed
    assert {path.name for path in tmp_path.iterdir()} == {"annotated.mp4", "faces.jsonl"}
    with av.open(str(tmp_path / "annotated.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 250
    frames = [json.loads(line) for line in (tmp_path / "faces.jsonl").open()]
    assert len(frames) == 250 and sum(len(frame["faces"]) for frame in frames) > 200


def test_a_video(programs, tmp_path):
    source = ROOT / "realtime/clips/astronaut.mp4"
    options = ["--source", source, "--no-display", "--jsonl", "out.jsonl"]
    for command in ([programs / "ipd-fer"], [programs / "python", "-m", "realtime"]):
        run([*command, *options], tmp_path)
        assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 250


def test_the_lines_of_python_in_the_readme(programs, tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = text.partition("In your own program:\n\n```python\n")[2].partition("```")[0]
    shutil.copy(ROOT / "realtime/clips/astronaut.mp4", tmp_path / "holiday.mp4")
    (tmp_path / "program.py").write_text(lines)
    printed = run([programs / "python", "program.py"], tmp_path).splitlines()
    assert len(printed) > 200 and " happiness " in printed[50]


def test_the_benchmark_finds_its_clip(programs, tmp_path):
    printed = run([programs / "ipd-fer", "bench", "--frames", "2", "--repeats", "1"], tmp_path)
    assert "whole frame" in printed


def test_the_page_answers_with_its_scripts_and_its_card(programs, tmp_path):
    port = free_port()
    command = [programs / "ipd-fer-web", "--port", str(port), "--backend", "onnxruntime"]
    server = subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        printed = []
        for line in server.stdout:
            printed.append(line)
            if line.startswith("Open"):
                break
        url = f"http://127.0.0.1:{port}/"
        assert f"Open     {url}  (Ctrl-C stops)\n" in printed
        assert httpx.get(url).status_code == 200
        config = httpx.get(f"{url}config").json()
        for name in ("live.js", "neutral.js", "plot.js", "timeline.js"):
            script = (ROOT / "realtime/web/assets" / name).read_text(encoding="utf-8")
            assert script in config["head"]
        card = (ROOT / "engine/models/MODEL_CARD.md").read_text(encoding="utf-8")
        shown = [str(part["props"].get("value")).strip() for part in config["components"]]
        assert card.strip() in shown
    finally:
        server.terminate()
        server.communicate(timeout=60)
    assert server.returncode == 0 and list(tmp_path.iterdir()) == []


def test_help_names_the_program_that_was_called(programs, tmp_path):
    for name in ("ipd-fer", "ipd-fer-web"):
        assert run([programs / name, "--help"], tmp_path).startswith(f"usage: {name} [-h]")
    for name in ("bench", "demo", "soak", "still"):
        printed = run([programs / "ipd-fer", name, "--help"], tmp_path)
        assert printed.startswith(f"usage: ipd-fer {name} [-h]")
    printed = run([programs / "python", "-m", "realtime", "--help"], tmp_path)
    assert printed.startswith("usage: python -m realtime [-h]")
