"""What an uploaded file can make the server read, and what it can make it spend."""

import json
import threading

import cv2
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from realtime.sources.frame import SourceError
from realtime.sources.video import VideoLimits, VideoSource
from realtime.web.checks import Refused
from realtime.web.networks import Networks
from realtime.web.picture import recognise_picture
from realtime.web.tabs import EXAMPLES
from realtime.web.video import recognise_video
from tests.realtime.support.media import scene, write_video
from tests.realtime.support.paths import CLIP
from tests.realtime.support.playlists import hls, write_playlists


@pytest.fixture(scope="module")
def networks():
    with Networks("onnxruntime", "cpu") as networks:
        yield networks


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    client = Client(
        server.url, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads"))
    )
    yield client
    client.close()


def test_a_list_of_files_opens_none_of_them(client, short_clip, tmp_path, subtests):
    for path in write_playlists(tmp_path, short_clip):
        with subtests.test(path.name), pytest.raises(AppError, match="neither a video nor"):
            client.predict(handle_file(str(path)), api_name="/video")


def test_lists_beside_each_other_on_the_server_open_nothing(server, short_clip):
    """Uploads of one visitor, whose places on the server the visitor is told."""
    url = f"{server.url}gradio_api/upload"

    def upload(name, data):
        (path,) = httpx.post(url, files={"files": (name, data)}).json()
        return path

    inner = upload("inner.m3u8", hls(upload("clip.mp4", short_clip.read_bytes())))
    for name in ("outer.m3u8", "outer.mp4"):
        assert "neither a video nor" in called(server, "video", upload(name, hls(inner)))


def called(server, name: str, path: str) -> str:
    """What the server says to a client that gives the path of a file on the server."""
    url = f"{server.url}gradio_api/call/{name}"
    given = {"path": path, "meta": {"_type": "gradio.FileData"}}
    event = httpx.post(url, json={"data": [given]}).json()["event_id"]
    return httpx.get(f"{url}/{event}", timeout=60).text


def test_other_files_of_the_server_are_not_opened(server):
    for path in ("/etc/passwd", str(CLIP), f"{server.folder}/../../../etc/passwd"):
        for name in ("video", "picture"):
            assert "event: error" in called(server, name, path)


def test_a_large_video_comes_smaller(tmp_path, networks):
    images = [cv2.resize(scene(i), (2560, 1440)) for i in range(3)]
    path = write_video(tmp_path / "a.mp4", images)
    folder = tmp_path / "results"
    folder.mkdir()
    result = recognise_video(path, networks, folder, lambda *_: None, threading.Event())
    with VideoSource(f"file:{result.annotated}", "a") as video:
        assert (video.width, video.height, video.frames) == (1280, 720, 3)


def test_frames_that_grow_are_not_decoded(tmp_path):
    """A stream of larger pictures follows one of small ones."""
    small = write_video(tmp_path / "s.ts", [scene(i) for i in range(3)])
    images = [cv2.resize(scene(i), (1600, 1200)) for i in range(3)]
    large = write_video(tmp_path / "l.ts", images)
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    sizes = []
    with (
        VideoSource(f"file:{both}", "a", VideoLimits(200 * 200)) as video,
        pytest.raises(SourceError, match="damaged|breaks off"),
    ):
        for frame in video:
            sizes.append(frame.image.shape)
    assert set(sizes) == {(120, 160, 3)}


def test_too_many_frames_are_refused(tmp_path, networks, monkeypatch):
    monkeypatch.setattr("realtime.web.video.VIDEO_FRAMES", 5)
    path = write_video(tmp_path / "a.mp4", [scene(i) for i in range(8)])
    with pytest.raises(Refused, match="more than 5 frames"):
        recognise_video(path, networks, tmp_path, lambda *_: None, threading.Event())


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_faces_of_a_large_picture_are_where_they_are_in_the_file(tmp_path, networks, name):
    image = cv2.imread(str(EXAMPLES / "two.jpg"))
    expected = faces(recognise_picture(EXAMPLES / "two.jpg", networks, tmp_path))
    scale = 7
    cv2.imwrite(str(tmp_path / name), cv2.resize(image, None, fx=scale, fy=scale))
    result = recognise_picture(tmp_path / name, networks, tmp_path)
    found = faces(result)
    assert len(found) == len(expected) == 2
    for one, other in zip(found, expected, strict=True):
        size = scale * (other["box"][2] - other["box"][0])
        assert one["box"] == pytest.approx(np.multiply(other["box"], scale), abs=0.1 * size)
        assert one["landmarks"] == pytest.approx(
            np.multiply(other["landmarks"], scale), abs=0.05 * size
        )
    assert cv2.imread(str(result.annotated)).size <= 3 * 6_000_000


def faces(result):
    """From left to right, for two of like size may change places."""
    return sorted(json.loads(result.record.read_text())["faces"], key=lambda face: face["box"])
