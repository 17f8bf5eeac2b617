import http.server
import socket
import threading
from functools import partial

import av
import numpy as np
import pytest

from realtime.sources.open import open_source
from tests.realtime.support.media import (
    cut,
    scene,
    spoil,
    turn,
    write_empty_video,
    write_sound,
    write_video,
)
from tests.realtime.support.paths import CLIP
from tests.realtime.support.reading import read, read_until_break, refused
from tests.realtime.support.serving import QuietHandler, send_once


def test_a_title_in_another_encoding_is_no_reason_to_refuse(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "title in Latin-1"
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(scene(0))))
        container.mux(stream.encode())
    data = path.read_bytes()
    assert b"title in Latin-1" in data
    path.write_bytes(data.replace(b"title in Latin-1", "tïtle ïn Latïn-1".encode("latin-1")))
    with open_source(path) as opened:
        assert len(list(opened)) == 1


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.webm", "libvpx-vp9")])
def test_video_gives_every_frame_with_its_colours(tmp_path, name, codec):
    path = write_video(tmp_path / name, (scene(i) for i in range(40)), codec=codec)
    with open_source(path) as opened:
        assert (opened.width, opened.height, opened.live) == (160, 120, False)
        assert opened.fps == pytest.approx(25, rel=0.01)
        assert opened.frames == 40
        frames = list(opened)
    assert [frame.index for frame in frames] == list(range(40))
    for frame in frames:
        assert frame.image.dtype == np.uint8 and frame.image.flags.c_contiguous
        assert frame.image.flags.writeable
        difference = np.abs(frame.image.astype(int) - scene(frame.index))
        assert difference.mean() < 6


def test_red_stays_red(tmp_path):
    red = np.full((64, 64, 3), (220, 30, 30), np.uint8)
    frame = read(write_video(tmp_path / "red.mp4", [red] * 3))[1]
    assert np.abs(frame.image.astype(int) - red).max() <= 4


def test_variable_frame_rate_keeps_the_files_clock(tmp_path):
    times = [5.0, 5.04, 5.2, 5.24, 6.5, 6.533]
    path = write_video(tmp_path / "vfr.mp4", (scene(i) for i in range(6)), times)
    got = [frame.time for frame in read(path)]
    assert got == pytest.approx([t - 5.0 for t in times], abs=1e-4)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_video_rotation_is_applied(tmp_path, quarters):
    image = np.zeros((32, 64, 3), np.uint8)
    image[:16, :32] = (255, 0, 0)
    path = turn(write_video(tmp_path / "turned.mp4", [image] * 3), quarters)
    with open_source(path) as opened:
        size = opened.width, opened.height
        frame = next(iter(opened))
    expected = np.rot90(image, -quarters)  # NumPy turns counterclockwise
    assert size == expected.shape[1::-1]
    assert np.abs(frame.image.astype(int) - expected).mean() < 8


def test_odd_sizes(tmp_path):
    path = write_video(tmp_path / "odd.webm", [scene(0, 51, 37)] * 3, codec="libvpx-vp9")
    assert read(path)[0].image.shape == (37, 51, 3)


def test_video_without_frames(tmp_path):
    assert "without a single frame" in refused(write_empty_video(tmp_path / "none.mp4"))


def test_sound_only(tmp_path):
    assert "no video stream" in refused(write_sound(tmp_path / "sound.mp4"))


def test_mp4_cut_before_its_index(tmp_path):
    path = cut(write_video(tmp_path / "plain.mp4", (scene(i) for i in range(30))), 0.5)
    assert "cut off before its index" in refused(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
@pytest.mark.parametrize(
    ("name", "movflags"),
    [
        ("fast.mp4", "faststart"),
        ("fragments.mp4", "frag_keyframe+empty_moov+default_base_moof"),
        ("matroska.mkv", None),
    ],
)
def test_cut_file_gives_its_frames_then_says_where_it_breaks(tmp_path, name, movflags, share):
    images = [scene(i) for i in range(100)]
    path = cut(write_video(tmp_path / name, images, movflags=movflags), share)
    frames, message = read_until_break(path)
    assert 0 < len(frames) < 100
    assert f"breaks off after {len(frames)} frames" in message and path.name in message
    for frame in frames[:5]:
        assert np.abs(frame.image.astype(int) - images[frame.index]).mean() < 6


def test_whole_files_end_without_complaint(tmp_path):
    for name in ("a.mp4", "a.mkv", "a.avi", "a.ts"):
        assert len(read(write_video(tmp_path / name, (scene(i) for i in range(30))))) == 30


def test_cut_before_the_first_frame(tmp_path):
    path = cut(write_video(tmp_path / "a.mkv", [scene(0, 640, 480)] * 3), 0.2)
    assert "before its first frame" in refused(path) or "without a single" in refused(path)


def test_damage_in_the_middle_is_skipped_and_reported(tmp_path):
    path = write_video(tmp_path / "a.mp4", (scene(i) for i in range(80)), movflags="faststart")
    frames, message = read_until_break(spoil(path, 0.5, 0.6))
    assert 40 < len(frames) < 80
    assert "damaged" in message or "breaks off" in message


def test_tiny_video_is_refused(tmp_path):
    path = write_video(tmp_path / "tiny.mp4", [np.zeros((8, 8, 3), np.uint8)] * 2)
    assert "8×8 pixels" in refused(path)


def test_file_over_http_is_no_live_stream(tmp_path):
    write_video(tmp_path / "a.mp4", (scene(i) for i in range(10)))
    handler = partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/a.mp4"
        with open_source(url) as opened:
            assert not opened.live and len(list(opened)) == 10
        assert "could not be opened" in refused(url.replace("a.mp4", "b.mp4"))
        server.shutdown()


def test_stream_nobody_serves():
    message = refused("http://user:secret@127.0.0.1:1/live")
    assert message == "http://127.0.0.1:1/live could not be opened: Connection refused."


def test_silent_server(monkeypatch):
    monkeypatch.setattr("realtime.sources.video._PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert "no answer within" in refused(f"http://127.0.0.1:{server.getsockname()[1]}/live")


def test_live_stream_that_ends_is_reported(tmp_path):
    path = write_video(tmp_path / "a.ts", (scene(i) for i in range(30)))
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = threading.Thread(target=send_once, args=(server, path.read_bytes()))
        sender.start()
        frames, message = read_until_break(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        sender.join()
    assert len(frames) == 30
    assert "broke off after 30 frames" in message


def test_frames_match_a_plain_decoder_on_the_demo_clip():
    with av.open(str(CLIP)) as container:
        reference = [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
    frames = read(CLIP)
    assert len(frames) == len(reference) == 250
    for frame, (seconds, image) in zip(frames, reference, strict=True):
        assert frame.time == pytest.approx(seconds, abs=1e-6)
        assert np.array_equal(frame.image, image)
