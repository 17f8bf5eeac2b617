"""Gradio's generated API, as a program uses it."""

import csv
import json
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from realtime.web.tabs import EXAMPLES


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("downloads")
    client = Client(server.url, verbose=False, download_files=str(folder))
    yield client
    client.close()


def test_the_api_has_picture_and_video_and_nothing_else(client):
    described = client.view_api(return_format="dict")
    assert set(described["named_endpoints"]) == {"/picture", "/video"}
    assert described["unnamed_endpoints"] == {}


def test_picture(client):
    image = handle_file(str(EXAMPLES / "two.jpg"))
    annotated, table, crops, record = client.predict(image, api_name="/picture")
    assert Path(annotated).stat().st_size > 10_000
    assert len(table["data"]) == len(crops) == 2
    faces = json.loads(Path(record).read_text())["faces"]
    assert [face["expression"]["label"] for face in faces] == ["happiness"] * 2


def test_video(client, short_clip):
    result = client.predict(handle_file(str(short_clip)), api_name="/video")
    annotated, timeline, summary, status, table, lines = result
    assert Path(annotated["video"] if isinstance(annotated, dict) else annotated).suffix == ".mp4"
    assert timeline["length"] == pytest.approx(0.96) and len(timeline["faces"]) == 1
    assert "happiness" in summary and "25 frames" in status
    assert len(list(csv.DictReader(Path(table).read_text().splitlines()))) == 25
    assert len(Path(lines).read_text().splitlines()) == 25


def test_a_refusal_is_an_error_with_its_message(client, tmp_path):
    text = tmp_path / "notes.mp4"
    text.write_text("This is no video.")
    with pytest.raises(AppError, match="neither a video nor a picture"):
        client.predict(handle_file(str(text)), api_name="/video")
