"""``python gradio_app.py``: the command line of the web page, nothing else."""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import dataclass
from typing import Literal

import tyro

from engine.session import EngineError
from realtime.web.server import ServerError, serving

LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Options:
    """Recognise facial expression and head pose in the browser."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 is every address of this machine."""
    port: int = 7860
    """Port to listen on."""
    backend: Literal["auto", "onnxruntime", "openvino", "tensorrt"] = "auto"
    """What to compute with."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """What to compute on."""
    max_streams: int = 4
    """How many cameras may be live at the same time; who comes later is asked to wait."""
    auth: str | None = None
    """USER:PASSWORD that visitors must give."""
    root_path: str | None = None
    """Path under which a proxy shows the page, as /faces."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C; returns the exit code."""
    # A polite `kill` ends the server as Ctrl-C does: with nothing left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _serve(tyro.cli(Options, prog="python gradio_app.py", args=arguments))
    except (EngineError, ServerError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
    return 0


def _serve(options: Options) -> None:
    login = _login(options.auth)
    if options.max_streams < 1:
        raise ServerError(f"--max-streams {options.max_streams}: give 1 or more.")
    with serving(
        options.host,
        options.port,
        options.backend,
        options.device,
        options.max_streams,
        login,
        options.root_path,
    ) as server:
        session = server.networks.session
        print(f"Model    {session.path.name}, sha256 {session.sha256[:12]}")
        for name, engine in server.networks.engines.items():
            print(f"Engine   {name}: {engine}")
        if login is None and options.host not in LOCAL:
            print(
                f"Warning: anybody who reaches {options.host} can use this page. Give --auth "
                "USER:PASSWORD, and put https before it: browsers give the camera only to localhost "
                "and https.",
                file=sys.stderr,
            )
        print(f"Open     {server.url}  (Ctrl-C stops)", flush=True)
        threading.Event().wait()


def _login(auth: str | None) -> tuple[str, str] | None:
    if auth is None:
        return None
    user, colon, password = auth.partition(":")
    if not (user and colon and password):
        raise ServerError("--auth needs a user and a password with a colon between: USER:PASSWORD.")
    return user, password


if __name__ == "__main__":
    sys.exit(main())
