"""What a file or a server may make the program open."""

import http.server
import socket
import threading
from functools import partial

import av
import pytest

from realtime.sources.containers import CONTAINERS, DECODERS
from realtime.sources.open import open_source
from tests.realtime.support.media import scene, write_video
from tests.realtime.support.playlists import concat, hls, write_playlists
from tests.realtime.support.reading import read, refused
from tests.realtime.support.serving import QuietHandler, send_once


@pytest.fixture
def secret(tmp_path):
    return write_video(tmp_path / "secret.mp4", (scene(i) for i in range(5)))


def test_names_are_those_of_ffmpeg():
    for name in CONTAINERS:
        av.ContainerFormat(name, "r")
    assert set(DECODERS) <= av.codec.codecs_available


def test_a_list_that_the_user_names_opens_its_files(tmp_path, secret):
    (tmp_path / "list.m3u8").write_text(hls(secret.name))
    (tmp_path / "list.ffconcat").write_text(concat(secret.name))
    assert len(read(tmp_path / "list.m3u8")) == len(read(tmp_path / "list.ffconcat")) == 5


def test_a_list_under_the_name_of_a_video_opens_nothing(tmp_path, secret):
    paths = write_playlists(tmp_path, secret)
    for path in paths:
        if path.suffix in (".mp4", ".mkv", ".ts"):
            assert "neither a video nor a picture" in refused(path), path.name


def test_a_list_opens_no_list_of_another_kind(tmp_path, secret):
    write_playlists(tmp_path, secret)
    refused(tmp_path / "hls-of-concat.m3u8")
    refused(tmp_path / "concat-of-hls.ffconcat")


@pytest.mark.parametrize("target", ["file://{secret}", "{secret}", "concat:{secret}|{secret}"])
@pytest.mark.parametrize("form", [hls, concat])
def test_a_list_from_the_network_names_no_local_file(tmp_path, secret, form, target):
    folder = tmp_path / "served"
    folder.mkdir()
    name = "list.m3u8" if form is hls else "list.ffconcat"
    (folder / name).write_text(form(target.format(secret=secret)))
    handler = partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        refused(f"http://127.0.0.1:{server.server_port}/{name}")
        server.shutdown()


@pytest.mark.parametrize("form", [hls, concat])
def test_a_bare_connection_names_no_local_file(secret, form):
    with socket.create_server(("127.0.0.1", 0)) as server:
        data = form(f"file://{secret}").encode()
        sender = threading.Thread(target=send_once, args=(server, data))
        sender.start()
        refused(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        sender.join()


def test_a_list_from_the_network_opens_what_is_beside_it(tmp_path, secret):
    write_video(tmp_path / "part.ts", (scene(i) for i in range(5)))
    (tmp_path / "list.m3u8").write_text(hls("part.ts"))
    handler = partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with open_source(f"http://127.0.0.1:{server.server_port}/list.m3u8") as opened:
            assert len(list(opened)) == 5
        server.shutdown()
