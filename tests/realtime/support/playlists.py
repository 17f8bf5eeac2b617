"""Files that make FFmpeg open other files."""

from __future__ import annotations

from pathlib import Path


def hls(target: str) -> str:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n"


def concat(target: str) -> str:
    return f"ffconcat version 1.0\nfile {target}\n"


def sdp(port: int = 5004) -> str:
    return (
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    )


def dash(target: str) -> str:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT2S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
        '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1000" '
        f'codecs="avc1.42c01e" width="160" height="120"><BaseURL>{target}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>"
    )


def write_playlists(folder: Path, secret: Path) -> list[Path]:
    """Every kind of list that names the video `secret`: plain, under a video's name, with and
    without a path, and lists of lists."""
    near = folder / secret.name
    if near != secret:
        near.write_bytes(secret.read_bytes())
    texts = {
        "hls.m3u8": hls(f"file://{secret}"),
        "hls-path.m3u8": hls(str(secret)),
        "hls-near.m3u8": hls(secret.name),
        "hls.mp4": hls(f"file://{secret}"),
        "hls.ts": hls(f"file://{secret}"),
        "hls-protocol.m3u8": hls(f"concat:{secret}|{secret}"),
        "hls-master.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhls-near.m3u8\n",
        "concat.ffconcat": concat(secret.name),
        "concat-path.ffconcat": concat(str(secret)),
        "concat.mp4": concat(secret.name),
        "concat-of-hls.ffconcat": concat("hls-near.m3u8"),
        "concat-of-hls.mp4": concat("hls-near.m3u8"),
        "concat-of-concat.mkv": concat("concat.ffconcat"),
        "hls-of-concat.m3u8": hls("concat.ffconcat"),
        "session.sdp": sdp(),
        "session.mp4": sdp(),
        "dash.mpd": dash(secret.name),
        "dash.mp4": dash(f"file://{secret}"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]
