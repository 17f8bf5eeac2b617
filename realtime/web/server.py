"""Serves the page, and leaves nothing behind."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.middleware import Middleware

from realtime.web.checks import FILE_MEGABYTES
from realtime.web.folder import own_folder
from realtime.web.guard import Guard, origin
from realtime.web.networks import Networks
from realtime.web.streams import LEASE, Streams
from realtime.web.uploads import Uploads
from realtime.web.visitors import Visitors


class ServerError(Exception):
    """The page cannot be served. The message is one line that tells the fix."""


@dataclass(frozen=True, slots=True)
class Server:
    """A page that is being served. folder: where all its files lie. page: a gradio.Blocks."""

    url: str
    folder: Path
    networks: Networks
    streams: Streams
    visitors: Visitors
    page: Any


@contextmanager
def serving(
    host: str = "127.0.0.1",
    port: int = 7860,
    backend: str = "auto",
    device: str = "auto",
    max_streams: int = 4,
    login: tuple[str, str] | None = None,
    root_path: str | None = None,
    allow_origins: tuple[str, ...] = (),
) -> Iterator[Server]:
    """Serves the page for as long as the block lasts; then every file of its visitors is gone.

    host: a name or an address, of IPv6 with brackets or without. login: user and password.
    root_path: where a proxy puts the page. allow_origins: other origins, such as
    https://example.org, whose pages may use this one. Raises ServerError and EngineError.
    """
    host = host.strip("[] ")
    if not host:
        raise ServerError("--host is empty: give an address; 0.0.0.0 is all of this machine's.")
    _check_free(host, port)
    origins = _origins(allow_origins)
    in_url = f"[{host}]" if ":" in host else host
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder())
        stack.enter_context(_gradio_files_in(folder))
        # Gradio reads the folder when it is imported.
        from realtime.web.page import build, look
        from realtime.web.turns import take_turns

        networks = stack.enter_context(Networks(backend, device))
        streams = stack.enter_context(Streams(networks, max_streams))
        visitors = Visitors(folder)
        page = build(networks, streams, visitors)
        stack.callback(page.close, verbose=False)
        guard = Middleware(Guard, uploads=Uploads(folder), origins=origins)
        page.launch(
            **look(),
            app_kwargs={"middleware": [guard]},
            server_name=in_url,
            server_port=port,
            auth=login,
            root_path=root_path,
            max_file_size=FILE_MEGABYTES << 20,
            max_threads=8,  # frames have threads of their own
            footer_links=["api", "settings"],
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            run_history=False,
            enable_monitoring=False,
        )
        take_turns(page)
        visitors.keep(path for path in folder.rglob("*") if path.is_file())
        stack.enter_context(_every(LEASE / 2, streams.sweep))
        yield Server(f"http://{in_url}:{port}/", folder, networks, streams, visitors, page)


def _check_free(host: str, port: int) -> None:
    try:
        # Gradio looks whether the port is free on 127.0.0.1, wherever it is to listen.
        for address in {host, "127.0.0.1"}:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ServerError(
            f"Cannot listen on {host}:{port}: {reason}. Choose another --host or --port."
        ) from None


def _origins(given: tuple[str, ...]) -> frozenset[str]:
    known = {text: origin(text) for text in given}
    for text, found in known.items():
        if found is None:
            raise ServerError(f"--allow-origin {text}: give it like https://example.org.")
    return frozenset(filter(None, known.values()))


@contextmanager
def _gradio_files_in(folder: Path) -> Iterator[None]:
    """Gradio asks the environment, again and again, where uploads and results shall lie."""
    name = "GRADIO_TEMP_DIR"
    before = os.environ.get(name)
    os.environ[name] = str(folder)
    try:
        yield
    finally:
        # Not unset: a thread of Gradio that outlives it would make a folder elsewhere.
        if before is not None:
            os.environ[name] = before


@contextmanager
def _every(seconds: float, work) -> Iterator[None]:
    """Calls `work` again and again in a thread."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(seconds):
            work()

    thread = threading.Thread(target=run, name="sweeper", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
