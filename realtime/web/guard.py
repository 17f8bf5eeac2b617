"""What is refused before Gradio sees it: other sites' requests, and more bytes than are taken."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from realtime.web.callers import address_of
from realtime.web.streams import FRAME_BYTES
from realtime.web.uploads import Uploads

BODY_BYTES = FRAME_BYTES * 4 // 3 + (64 << 10)
"""Largest body that is no upload: a frame in base64 and what stands around it."""

COMING = 8 * BODY_BYTES
"""Bytes of such bodies of one address that may be on their way or being answered: each is held in
memory, and as text once more."""

UPLOAD = "/gradio_api/upload"
"""The only path to which more may be sent."""

PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Guard:
    """ASGI middleware. origins: see :func:`origin`; those that may ask beside the page itself."""

    def __init__(self, app: ASGIApp, uploads: Uploads, origins: frozenset[str]):
        self._app = app
        self._uploads = uploads
        self._origins = origins
        self._coming: Counter[str] = Counter()  # bytes by address; the event loop's alone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif not self._welcome(scope):
            await _refuse(
                *(scope, receive, send, 403),
                "Another site asked for this. Where it is a proxy before this page, start the "
                "server with --allow-origin and the address that the browser shows.",
            )
        elif _is_upload(scope):
            await self._upload(scope, receive, send)
        else:
            await self._bounded(scope, receive, send)

    def _welcome(self, scope: Scope) -> bool:
        """Whether the page itself asks, a program, or an origin that is allowed.

        Programs send neither of the two headers; a browser lets no script change them.
        """
        headers = Headers(scope=scope)
        sent, site = headers.get("origin"), headers.get("sec-fetch-site")
        if sent is not None and origin(sent) in self._origins:
            return True
        if site is not None:
            followed_a_link = headers.get("sec-fetch-mode") == "navigate" and scope.get(
                "method"
            ) in ("GET", "HEAD")
            return site in ("same-origin", "none") or followed_a_link
        return sent is None or _same(sent, headers.get("host", ""))

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = _length(scope)
        if size is None:
            await _refuse(scope, receive, send, 411, "Say how long the upload is.")
            return
        address = address_of(scope["client"] and scope["client"][0])
        problem = await asyncio.to_thread(self._uploads.begin, address, size)
        if problem:
            await _refuse(scope, receive, send, 413, problem)
            return
        answer = _Answer(send)
        try:
            await self._app(scope, receive, answer.send)
        finally:
            self._uploads.end(address, size, answer.paths())

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        chunked = "transfer-encoding" in Headers(scope=scope)
        size = BODY_BYTES if chunked else _length(scope) or 0
        if size > BODY_BYTES:
            await _refuse(scope, receive, send, 413, f"At most {BODY_BYTES >> 20} MB are taken.")
            return
        address = address_of(scope.get("client") and scope["client"][0])
        if size and self._coming[address] + size > COMING:
            await _refuse(scope, receive, send, 429, "Wait until what you sent is answered.")
            return
        self._coming[address] += size
        try:
            await self._cut_off(scope, receive, send)
        finally:
            self._coming[address] -= size
            if not self._coming[address]:
                del self._coming[address]

    async def _cut_off(self, scope: Scope, receive: Receive, send: Send) -> None:
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            # A body that does not say its length is cut off where it passes the limit.
            return {"type": "http.disconnect"} if came > BODY_BYTES else message

        await self._app(scope, counted, send)


def origin(text: str) -> str | None:
    """`scheme://host:port` of an origin as a browser sends it; None where it is none."""
    scheme = text.partition("://")[0].lower()
    place = _place(text)
    return f"{scheme}://{place[0]}:{place[1]}" if place else None


def _same(sent: str, host: str) -> bool:
    """Whether an origin names this host. A proxy may have taken https away, so schemes do not
    count; where no port is given, both have that of the origin's scheme."""
    place = _place(sent)
    return place is not None and place == _place(f"{sent.partition('://')[0]}://{host}")


def _place(text: str) -> tuple[str, int] | None:
    """Host and port of an origin; those of the scheme where no port is given."""
    try:
        parts = urlsplit(text)
        port = parts.port or PORTS[parts.scheme]
    except (KeyError, ValueError):
        return None
    return (parts.hostname, port) if parts.hostname else None


def _is_upload(scope: Scope) -> bool:
    # As a whole: /gradio_api/call/upload would read a body of any size into memory.
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return scope["type"] == "http" and scope["method"] == "POST" and path == UPLOAD


def _length(scope: Scope) -> int | None:
    """Bytes of the body; None where that is not said, or not binding: a body in chunks goes on for
    as long as it likes, whatever length stands beside them."""
    headers = Headers(scope=scope)
    length = headers.get("content-length", "")
    binding = length.isdecimal() and "transfer-encoding" not in headers
    return int(length) if binding else None


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": why[:100]})
    else:
        await PlainTextResponse(why, status)(scope, receive, send)


class _Answer:
    """Hands an answer on and remembers it."""

    def __init__(self, send: Send):
        self._send = send
        self._body = b""
        self._status = 0

    async def send(self, message: Message) -> None:
        self._status = message.get("status", self._status)
        self._body += message.get("body", b"")
        await self._send(message)

    def paths(self) -> list[Path]:
        """Where the uploaded files lie; none where the upload failed."""
        return [Path(path) for path in json.loads(self._body)] if self._status == 200 else []
