"""A page that is served, a browser with a fake camera, and a look-out for requests that leave."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from realtime.web.server import Server, serving
from tests.realtime.web.camera import write_clip

PLACES = 2
LOCAL = ("127.0.0.1", "::1", "localhost", "0.0.0.0", None)

left: list[str] = []
"""Where this process tried to connect to outside the machine."""


def _watch(event: str, arguments: tuple) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if (host.decode() if isinstance(host, bytes) else host) not in LOCAL:
        left.append(str(host))


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    """The page with two places for cameras. All temporary files of this process go into
    ``server.folder.parent``."""
    tempfile.tempdir = str(tmp_path_factory.mktemp("temporary"))
    sys.addaudithook(_watch)
    try:
        with serving(port=free_port(), backend="onnxruntime", max_streams=PLACES) as server:
            yield server
        assert not server.folder.exists()
        assert left == []
    finally:
        tempfile.tempdir = None


@pytest.fixture(scope="session")
def chromium() -> Iterator[Callable[[Path], Browser]]:
    """Starts a Chromium whose camera shows a clip; one Playwright serves all, for it has a loop."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:

        def launch(clip: Path) -> Browser:
            return playwright.chromium.launch(
                executable_path=program,
                args=[
                    "--no-sandbox",
                    "--use-fake-device-for-media-stream",
                    f"--use-file-for-fake-video-capture={clip}",
                ],
            )

        yield launch


@pytest.fixture(scope="session")
def browser(chromium, tmp_path_factory) -> Iterator[Browser]:
    """Chromium whose camera shows a face turned to the image's right."""
    browser = chromium(write_clip(tmp_path_factory.mktemp("camera") / "clip.mjpeg"))
    yield browser
    browser.close()


@pytest.fixture
def visit(server, browser) -> Iterator[Callable[..., Page]]:
    """Opens the page as a visitor of its own; at the end, no request may have gone elsewhere."""
    contexts, requests = [], []

    def visit(tab: str = "Live", camera: bool = True, **options) -> Page:
        options = {"viewport": {"width": 1280, "height": 900}} | options
        context = browser.new_context(**options)
        contexts.append(context)
        context.grant_permissions(["camera"] * camera)
        context.on("request", lambda request: requests.append(request.url))
        page = context.new_page()
        page.on("websocket", lambda socket: requests.append(socket.url))
        # Said where a test fails: what went wrong in the page is seen nowhere else.
        page.on("pageerror", lambda error: print("page error:", error))
        page.on("requestfailed", lambda request: print("failed:", request.url, request.failure))
        page.set_default_timeout(60_000)
        page.goto(server.url)
        page.get_by_role("tab", name=tab).click()
        return page

    yield visit
    for context in contexts:
        context.close()
    local = (server.url, "data:", "blob:")
    assert requests and [url for url in requests if not url.startswith(local)] == []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
