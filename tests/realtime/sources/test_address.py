"""Pictures on the web, from a server on this machine."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import cv2
import numpy as np
import pytest

from tests.realtime.support.media import scene
from tests.realtime.support.reading import read, refused

PNG = cv2.imencode(".png", scene(0)[..., ::-1])[1].tobytes()


class Handler(BaseHTTPRequestHandler):
    """Has a picture, a broken one, and a page that calls itself one."""

    def do_GET(self) -> None:
        pages = {"/a.png": ("image/png", PNG), "/cut.PNG": ("image/png", PNG[:500])}
        pages["/page.jpg"] = ("text/html", b"<html>no picture</html>")
        path = self.path.partition("?")[0]
        if path == "/mine.png" and self.headers["Authorization"] == "Basic YW5uYTpzZSpyZXQ=":
            path = "/a.png"
        if path not in pages:
            self.send_error(404)
            return
        kind, content = pages[path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_picture_at_an_address(site):
    (frame,) = read(f"http://{site}/a.png?size=large")
    np.testing.assert_array_equal(frame.image, scene(0))


def test_a_user_and_password_are_given_to_the_server(site):
    assert len(read(f"http://anna:se%2Aret@{site}/mine.png")) == 1
    assert "404" in refused(f"http://anna:wrong@{site}/mine.png")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/cut.PNG", "is damaged"),
        ("/gone.png", "could not be opened: 404 Not Found"),
        ("/page.jpg", "is neither a video nor a picture"),
    ],
)
def test_what_is_no_picture_is_told_without_the_password(site, path, words):
    message = refused(f"http://anna:secret@{site}{path}")
    assert words in message and "secret" not in message


def test_a_server_that_is_not_there():
    assert "could not be opened" in refused("http://127.0.0.1:9/a.png")
