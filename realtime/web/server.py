"""Serves the page, and leaves nothing behind."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from realtime.web.checks import FILE_MEGABYTES
from realtime.web.networks import Networks
from realtime.web.streams import LEASE, Streams
from realtime.web.visitors import Visitors


class ServerError(Exception):
    """The page cannot be served. The message is one line that tells the fix."""


@dataclass(frozen=True, slots=True)
class Server:
    """A page that is being served. folder: where all its files lie."""

    url: str
    folder: Path
    networks: Networks
    streams: Streams
    visitors: Visitors


@contextmanager
def serving(
    host: str = "127.0.0.1",
    port: int = 7860,
    backend: str = "auto",
    device: str = "auto",
    max_streams: int = 4,
    login: tuple[str, str] | None = None,
    root_path: str | None = None,
) -> Iterator[Server]:
    """Serves the page for as long as the block lasts; then every file of its visitors is gone.

    login: user and password. root_path: where a proxy puts the page. Raises ServerError and
    EngineError.
    """
    _check_free(host, port)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faces-")))
        stack.enter_context(_gradio_files_in(folder))
        from realtime.web.page import build, look  # Gradio reads the folder when it is imported

        networks = stack.enter_context(Networks(backend, device))
        streams = stack.enter_context(Streams(networks, max_streams))
        visitors = Visitors(folder)
        page = build(networks, streams, visitors)
        stack.callback(page.close, verbose=False)
        page.launch(
            **look(),
            server_name=host,
            server_port=port,
            auth=login,
            root_path=root_path,
            max_file_size=FILE_MEGABYTES << 20,
            max_threads=2 * max_streams + 8,  # two frames a stream, and some for the rest
            footer_links=["api", "settings"],
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            run_history=False,
            enable_monitoring=False,
        )
        visitors.keep(path for path in folder.rglob("*") if path.is_file())
        stack.enter_context(_every(LEASE / 2, streams.sweep))
        yield Server(f"http://{host}:{port}/", folder, networks, streams, visitors)


def _check_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ServerError(
                f"Cannot listen on {host}:{port}: {reason}. Choose another --host or --port."
            ) from None


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
