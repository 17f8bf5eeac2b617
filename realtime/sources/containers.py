"""Which files FFmpeg may open, and what they may open in turn.

FFmpeg goes by what a file contains, whatever its name: a text that reads as a playlist makes it
open the files and addresses named there. So formats and protocols are allowed by name, which FFmpeg
checks before it reads further, in every file that is opened in turn as well.
"""

from __future__ import annotations

from pathlib import PurePath

CONTAINERS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "ogg", "gif", "mxf", "nut", "ivf"),
    *("mjpeg", "h264", "hevc", "m4v", "mpegvideo", "dv", "apng", "yuv4mpegpipe"),
)
"""Formats, by FFmpeg's names, that hold their pictures themselves."""

KINDS = "MP4, MOV, MKV, WebM, AVI, MPEG, FLV, WMV, OGG or GIF"
"""The usual ones of them, in the words of a message."""

DECODERS = (
    *("h264", "hevc", "vp8", "vp9", "libdav1d", "av1", "mpeg1video", "mpeg2video", "mpeg4"),
    *("msmpeg4v1", "msmpeg4v2", "msmpeg4", "wmv1", "wmv2", "wmv3", "vc1", "h263", "flv", "vp6"),
    *("vp6f", "theora", "mjpeg", "gif", "dvvideo", "prores", "dnxhd", "rawvideo"),
    *("ffv1", "huffyuv", "ffvhuff", "qtrle", "png", "apng", "cinepak", "svq1", "svq3"),
    *("magicyuv", "utvideo", "msvideo1", "cfhd"),
)
"""Decoders, by FFmpeg's names, that a stranger's file may use."""

_PLAYLISTS: dict[str, tuple[str, ...]] = {
    ".m3u8": ("hls",),
    ".m3u": ("hls",),
    ".ffconcat": ("concat",),
    ".concat": ("concat",),
    ".sdp": ("sdp", "rtp"),
    ".mpd": ("dash",),
}
"""Lists of other files, by the ending that says so: who gives such a file by name means it."""

_STREAMED = ("hls", "dash", "mpjpeg", "rtsp", "rtp", "sdp", "live_flv")
"""Formats of streams over a network."""

_NETWORK = (
    *("http", "https", "httpproxy", "tls", "tcp", "udp", "udplite", "rtp", "srtp", "rtmp", "rtmpe"),
    *("rtmps", "rtmpt", "rtmpte", "rtmpts", "ffrtmphttp", "ffrtmpcrypt", "srt", "rist", "mmsh"),
    *("mmst", "ftp", "gopher", "gophers", "sctp", "crypto", "data"),
)
"""Protocols that leave the machine or read nothing; none of them opens a local file."""


def opening_options(url: str, playlists: bool) -> dict[str, str]:
    """FFmpeg's options to open `url` with. playlists: whether a local one may name other files."""
    formats: tuple[str, ...]
    protocols: tuple[str, ...]
    if is_pipe(url):
        formats, protocols = CONTAINERS, ("pipe", "crypto", "data")
    elif not is_local(url):
        formats, protocols = CONTAINERS + _STREAMED, _NETWORK
    else:
        named = _PLAYLISTS.get(PurePath(url).suffix.lower(), ()) if playlists else ()
        formats = CONTAINERS + named
        protocols = ("file", "crypto", "data") if named else ("file",)
    return {"format_whitelist": ",".join(formats), "protocol_whitelist": ",".join(protocols)}


def is_local(url: str) -> bool:
    return url.startswith("file:")


def is_pipe(url: str) -> bool:
    return url.startswith("pipe:")
