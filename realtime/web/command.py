"""``ipd-fer-web`` and ``python gradio_app.py``: the command line of the web page, nothing else."""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from engine.contract import EngineError
from engine.output import program
from realtime.web.server import ServerError, serving

LOCAL = ("127.0.0.1", "localhost", "::1", "[::1]")

AUTH_VARIABLE = "FACES_AUTH"
"""Environment variable that holds what --auth would."""


@dataclass(frozen=True)
class Options:
    """Recognise facial expression and head pose in the browser."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 is every address of this machine, ::1 is IPv6 on it alone."""
    port: int = 7860
    """Port to listen on."""
    backend: Literal["auto", "onnxruntime", "openvino", "tensorrt"] = "auto"
    """What to compute with."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """What to compute on."""
    max_streams: int = 4
    """How many cameras may be live at the same time; who comes later is asked to wait."""
    auth: str | None = None
    """USER:PASSWORD that visitors must give. Everybody on this machine can read it in the list of
    processes: --auth-file or the environment variable FACES_AUTH are safer."""
    auth_file: Path | None = None
    """File with one line USER:PASSWORD, which only you can read (chmod 600)."""
    root_path: str | None = None
    """Path under which a proxy shows the page, as /faces."""
    allow_origin: tuple[str, ...] = ()
    """Other origins whose pages may use this one, as https://example.org; also that of a proxy that
    hides the name by which browsers know it."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C; returns the exit code."""
    # A polite `kill` ends the server as Ctrl-C does: with nothing left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    name = program("ipd-fer-web", "python gradio_app.py")
    try:
        _serve(tyro.cli(Options, prog=name, args=arguments))
    except (EngineError, ServerError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
    return 0


def _serve(options: Options) -> None:
    login = _login(options)
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
        options.allow_origin,
    ) as server:
        session = server.networks.session
        print(f"Model    {session.path.name}, sha256 {session.sha256[:12]}")
        for name, engine in server.networks.engines.items():
            print(f"Engine   {name}: {engine}")
        if login is None and options.host not in LOCAL:
            print(
                f"Warning: anybody who reaches {options.host} can use this page. Give "
                "--auth-file, and put https before it: browsers give the camera only to localhost "
                "and https.",
                file=sys.stderr,
            )
        print(f"Open     {server.url}  (Ctrl-C stops)", flush=True)
        threading.Event().wait()


def _login(options: Options) -> tuple[str, str] | None:
    """User and password that visitors must give, from wherever they were given."""
    if options.auth is not None and options.auth_file is not None:
        raise ServerError("Give --auth or --auth-file, not both.")
    if options.auth_file is not None:
        return _parted(_only_line(options.auth_file), f"{options.auth_file}")
    if options.auth is not None:
        return _parted(options.auth, "--auth")
    if AUTH_VARIABLE in os.environ:
        return _parted(os.environ[AUTH_VARIABLE], AUTH_VARIABLE)
    return None


def _only_line(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text."
        raise ServerError(f"--auth-file {path} cannot be read: {reason}") from None
    if os.name == "posix" and mode & 0o077:
        print(f"Warning: others can read {path}. Say chmod 600 {path}.", file=sys.stderr)
    lines = text.splitlines()
    return lines[0] if len(lines) == 1 else ""


def _parted(auth: str, where: str) -> tuple[str, str]:
    user, colon, password = auth.partition(":")
    if not (user and colon and password):
        raise ServerError(
            f"{where} needs a user and a password on one line with a colon between: USER:PASSWORD."
        )
    return user, password
