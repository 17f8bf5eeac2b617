"""A picture at an address on the web."""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
from urllib.parse import SplitResult, unquote, urlsplit

from realtime.sources.frame import SourceError
from realtime.sources.pictures import PICTURES

_PATIENCE = 10.0  # seconds that a server may be silent
_LARGEST = 200 << 20  # bytes


def picture_at(url: str, name: str) -> bytes | None:
    """The file at an address that ends as a picture does; None where the address is another or the
    server says that it is something else, as a camera's stream of pictures.

    name: of it in messages. SourceError where it cannot be had.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.path.lower().endswith(PICTURES):
        return None
    try:
        with urllib.request.urlopen(_request(parts), timeout=_PATIENCE) as answer:
            if answer.headers.get_content_maintype() != "image":
                return None
            content = answer.read(_LARGEST + 1)
    except urllib.error.HTTPError as error:
        raise SourceError(f"{name} could not be opened: {error.code} {error.reason}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise SourceError(
            f"{name} could not be opened: {getattr(reason, 'strerror', None) or reason}."
        ) from None
    if len(content) > _LARGEST:
        raise SourceError(f"{name} has more than {_LARGEST >> 20} MB. Save it, and give the file.")
    return content


def _request(parts: SplitResult) -> urllib.request.Request:
    """For the address, a user and password in it as a header, which no other server is told."""
    user, at, place = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=place).geturl())
    if at:
        login = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {login}")
    return request
