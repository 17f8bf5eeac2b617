"""Requests of other sites and bodies that are too large, against a page that is being served."""

import asyncio
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from realtime.web import uploads as uploads_module
from realtime.web.guard import BODY_BYTES, COMING, Guard, origin
from realtime.web.server import serving
from realtime.web.tabs import EXAMPLES
from realtime.web.uploads import Uploads
from tests.realtime.support.paths import below
from tests.realtime.web.conftest import free_port
from tests.realtime.web.load import Page
from tests.realtime.web.loops import finished
from tests.realtime.web.test_tabs import give_picture, until

JOIN = {"data": [None], "fn_index": 0, "session_hash": "guard"}
REQUESTS = {
    "queue": ("POST", "gradio_api/queue/join", {"json": JOIN}),
    "api": ("POST", "gradio_api/call/picture", {"json": {"data": [None]}}),
    "upload": ("POST", "gradio_api/upload", {"files": {"files": ("a.png", b"a", "image/png")}}),
    "component": ("POST", "gradio_api/component_server", {"json": {"fn_name": "open_stream"}}),
    "login": ("POST", "login", {"data": {"username": "a", "password": "b"}}),
    "config": ("GET", "config", {}),
}


def ask(url: str, name: str, headers: dict) -> int:
    method, path, sent = REQUESTS[name]
    return httpx.request(method, url + path, headers=headers, **sent).status_code


@pytest.fixture(scope="module")
def open_server(server):
    """A page for everybody, where Gradio itself takes every origin."""
    with serving(
        "0.0.0.0", free_port(), "onnxruntime", "cpu", 1, allow_origins=("https://allowed.example",)
    ) as opened:
        yield opened


def named(port: int, host: str = "faces.example") -> dict:
    """The headers of a request to this name."""
    return {"Host": f"{host}:{port}"}


@pytest.mark.parametrize("name", REQUESTS)
def test_other_sites_are_refused_off_localhost_and_on_it(open_server, server, name):
    for url in (f"http://127.0.0.1:{urlsplit(open_server.url).port}/", server.url):
        port = urlsplit(url).port
        here = named(port)
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": f"http://faces.example:{port + 1}"},
            {"Origin": f"http://faces.example.evil.example:{port}"},
            {"Origin": "http://["},
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
            {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        ):
            assert ask(url, name, here | headers) == 403, headers
        for headers in (
            {},
            {"Origin": f"http://faces.example:{port}"},
            {"Origin": f"http://FACES.example:{port}", "Sec-Fetch-Site": "same-origin"},
        ):
            assert ask(url, name, here | headers) != 403, headers


def test_an_origin_can_be_allowed(open_server):
    port = urlsplit(open_server.url).port
    url = f"http://127.0.0.1:{port}/"
    for text in ("https://allowed.example", "https://allowed.example:443"):
        assert ask(url, "config", named(port) | {"Origin": text}) == 200
    for text in ("http://allowed.example", "https://allowed.example:8443"):
        assert ask(url, "config", named(port) | {"Origin": text}) == 403


def test_a_link_from_another_site_is_followed(server):
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert httpx.get(server.url, headers=followed).status_code == 200
    assert httpx.post(f"{server.url}login", headers=followed).status_code == 403


def test_a_proxy_with_https_that_keeps_the_name(server):
    headers = {"Host": "faces.example", "Origin": "https://faces.example"}
    assert ask(server.url, "config", headers) == 200


def test_websockets_are_checked_too():
    sent = []
    guard = Guard(None, None, frozenset())
    headers = [(b"host", b"faces.example"), (b"origin", b"https://evil.example")]

    async def send(message):
        sent.append(message)

    asked = guard({"type": "websocket", "path": "/", "headers": headers}, None, send)
    finished(asked)
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://Example.org", "https://example.org:443"),
        ("http://[::1]:7860/", "http://::1:7860"),
        ("example.org", None),
        ("null", None),
        ("https://", None),
    ],
)
def test_origin(text, expected):
    assert origin(text) == expected


def test_a_large_body_is_refused_before_it_is_read(server):
    """Both where it tells its length and where it does not."""
    host, port = urlsplit(server.url).hostname, urlsplit(server.url).port
    start = (
        "POST /gradio_api/component_server HTTP/1.1\r\n"
        "Host: x\r\nContent-Type: application/json\r\n"
    )
    with socket.create_connection((host, port), 30) as client:
        client.sendall(f"{start}Content-Length: {BODY_BYTES + 1}\r\n\r\n".encode())
        assert b" 413 " in client.recv(1000)
    chunks = (b"A" * (1 << 20) for _ in range((BODY_BYTES >> 20) + 2))
    answer = httpx.post(f"{server.url}gradio_api/component_server", content=chunks)
    assert answer.status_code == 400


def test_bodies_of_one_address_that_are_on_their_way_are_bounded():
    """Each is held in memory until it is answered."""
    statuses, inside, most = [], 0, 0

    async def app(scope, receive, send):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.05)
        inside -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        if "status" in message:
            statuses.append(message["status"])

    guard = Guard(app, None, frozenset())

    def ask(address, headers):
        scope = {"type": "http", "method": "POST", "path": "/", "client": (address, 1)}
        return guard(scope | {"headers": headers}, None, send)

    async def ask_often():
        large = [(b"content-length", str(BODY_BYTES).encode())]
        await asyncio.gather(
            *(ask("192.0.2.1", large) for _ in range(30)),
            *(ask("192.0.2.1", [(b"transfer-encoding", b"chunked")]) for _ in range(10)),
            *(ask("192.0.2.1", []) for _ in range(5)),
            *(ask("192.0.2.2", large) for _ in range(2)),
        )
        await ask("192.0.2.1", large)

    finished(ask_often())
    assert most == COMING // BODY_BYTES + 5 + 2
    assert (statuses.count(200), statuses.count(429)) == (most + 1, 45 + 2 + 1 - most - 1)


def test_a_frame_of_full_size_fits(server):
    page = Page(server.url)
    key = page.call("open_stream", None)["key"]
    noise = "data:image/jpeg;base64," + "A" * (4 << 20)
    answer = page.call("frame", {"key": key, "number": 0, "mirror": True, "image": noise})
    assert "not a picture" in answer["error"]
    page.call("close_stream", key)


@pytest.mark.parametrize("path", ["call/upload", "run/upload", "call/upload/", "upload/"])
def test_only_the_upload_itself_may_be_large(server, path):
    host, port = urlsplit(server.url).hostname, urlsplit(server.url).port
    start = f"POST /gradio_api/{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, port), 30) as client:
        client.sendall(f"{start}Content-Length: {BODY_BYTES + 1}\r\n\r\n".encode())
        assert b" 413 " in client.recv(1000)


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/faces/gradio_api/upload"])
def test_an_upload_is_known_behind_a_proxy(tmp_path, path):
    sent = []

    async def send(message):
        sent.append(message)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"[]"})

    guard = Guard(app, Uploads(tmp_path), frozenset())
    headers = [(b"content-length", str(BODY_BYTES + 1).encode())]
    scope = {"type": "http", "method": "POST", "path": path, "root_path": "/faces"}
    finished(guard(scope | {"headers": headers, "client": ("127.0.0.1", 1)}, None, send))
    assert sent[0]["status"] == 200


def test_an_upload_in_chunks_is_refused_whatever_length_it_says(server):
    host, port = urlsplit(server.url).hostname, urlsplit(server.url).port
    head = (
        "POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n"
        "Transfer-Encoding: chunked\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    with socket.create_connection((host, port), 30) as client:
        client.sendall(head.encode())
        assert b" 411 " in client.recv(1000)


@pytest.fixture
def fresh_uploads(open_server, monkeypatch):
    """A visitor who has nothing on the page yet: the first of another address."""
    monkeypatch.setattr("realtime.web.guard.address_of", lambda host: "192.0.2.1")
    monkeypatch.setattr(uploads_module, "EACH", 5000)


def test_uploads_have_a_quota(open_server, fresh_uploads):
    url = f"{open_server.url}gradio_api/upload"
    first = httpx.post(url, files={"files": ("a.png", bytes(3000), "image/png")})
    assert first.status_code == 200
    second = httpx.post(url, files={"files": ("b.png", bytes(3000), "image/png")})
    assert second.status_code == 413 and "You have" in second.text
    assert httpx.post(url, content=iter([b"no length"])).status_code == 411


def test_an_upload_that_breaks_off_leaves_nothing(server):
    before = below(server.folder)
    body = b"--x\r\nContent-Disposition: form-data; name=files; filename=a.mp4\r\n\r\n" + bytes(
        1 << 20
    )
    head = (
        "POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), 30) as client:
        client.sendall(head.encode() + body)
        assert until(lambda: below(server.folder) - before)
    assert until(lambda: not below(server.folder) - before)


def test_an_upload_past_the_quota_is_told_on_the_page(visit, monkeypatch):
    monkeypatch.setattr(uploads_module, "EACH", 5000)
    page = visit("Picture")
    give_picture(page, EXAMPLES / "one.jpg")
    page.get_by_text("the most that one visitor may have").first.wait_for()


def test_a_url_is_not_fetched_for_a_visitor(server):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(2)
        picture = {
            "path": f"http://127.0.0.1:{listening.getsockname()[1]}/one.jpg",
            "meta": {"_type": "gradio.FileData"},
        }
        event = httpx.post(f"{server.url}gradio_api/call/picture", json={"data": [picture]}).json()
        answer = httpx.get(f"{server.url}gradio_api/call/picture/{event['event_id']}", timeout=60)
        assert "event: error" in answer.text and "Upload the file" in answer.text
        with pytest.raises(TimeoutError):
            listening.accept()
