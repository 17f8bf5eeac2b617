import http.server
import socket
import threading
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from realtime import source
from realtime.source import SourceError, open_source
from tests.realtime.media import (
    cut,
    scene,
    spoil,
    turn,
    write_empty_video,
    write_sound,
    write_video,
)


def read(spec):
    with open_source(spec) as opened:
        return list(opened)


def read_until_break(spec):
    """The frames that came, and the message of the SourceError that must end them."""
    frames = []
    with open_source(spec) as opened, pytest.raises(SourceError) as caught:
        for frame in opened:
            frames.append(frame)
    return frames, one_line(caught)


def one_line(caught):
    message = str(caught.value)
    assert message and "\n" not in message
    return message


def refused(spec):
    with pytest.raises(SourceError) as caught:
        read(spec)
    return one_line(caught)


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


def test_missing_file(tmp_path):
    assert "missing.mp4 does not exist" in refused(tmp_path / "missing.mp4")


@pytest.mark.parametrize("name", ["text.mp4", "text.jpg", "text"])
def test_text_is_no_video(tmp_path, name):
    (tmp_path / name).write_text("This is not a video.\n" * 40)
    assert "neither a video nor a picture" in refused(tmp_path / name)


def test_empty_file(tmp_path):
    (tmp_path / "empty.mp4").touch()
    assert "neither a video nor a picture" in refused(tmp_path / "empty.mp4")


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


def test_picture(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), scene(0)[..., ::-1])
    with open_source(tmp_path / "a.png") as opened:
        assert (opened.width, opened.height, opened.frames) == (160, 120, 1)
        (frame,) = opened
    assert np.array_equal(frame.image, scene(0))
    assert (frame.index, frame.time) == (0, 0.0)


@pytest.mark.parametrize("bad", [(3, 3), (15, 200)])
def test_tiny_picture_is_refused(tmp_path, bad):
    cv2.imwrite(str(tmp_path / "tiny.png"), np.zeros((*bad, 3), np.uint8))
    assert f"is {bad[1]}×{bad[0]} pixels; at least 16×16" in refused(tmp_path / "tiny.png")


def test_tiny_video_is_refused(tmp_path):
    path = write_video(tmp_path / "tiny.mp4", [np.zeros((8, 8, 3), np.uint8)] * 2)
    assert "8×8 pixels" in refused(path)


def test_grey_and_16_bit_pictures(tmp_path):
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 4, (32, 1))
    for name, stored in [
        ("grey.png", ramp),
        ("grey16.png", ramp.astype(np.uint16) * 257),
        ("grey16.tif", ramp.astype(np.uint16) * 257),
        ("rgb16.png", np.dstack([ramp] * 3).astype(np.uint16) * 257),
    ]:
        cv2.imwrite(str(tmp_path / name), stored)
        image = read(tmp_path / name)[0].image
        assert image.dtype == np.uint8 and image.shape == (32, 64, 3)
        assert np.abs(image.astype(int) - ramp[..., None]).max() <= 1, name


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_transparent_is_white(tmp_path, depth):
    most = np.iinfo(depth).max
    image = np.zeros((32, 32, 4), depth)  # BGRA as OpenCV writes it
    image[:, :16] = (0, 0, most, most)
    cv2.imwrite(str(tmp_path / "alpha.png"), image)
    got = read(tmp_path / "alpha.png")[0].image
    assert tuple(got[5, 5]) == (255, 0, 0) and tuple(got[5, 25]) == (255, 255, 255)


def test_exif_orientation_is_applied(tmp_path):
    image = np.zeros((32, 64, 3), np.uint8)
    image[:16, :32] = 255
    data = cv2.imencode(".jpg", image)[1].tobytes()
    # An APP1 segment with one EXIF entry: orientation 6, "turn clockwise by 90° to view".
    entry = b"\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"
    tiff = b"II*\x00\x08\x00\x00\x00\x01\x00" + entry + b"\x00\x00\x00\x00"
    body = b"Exif\x00\x00" + tiff
    marked = data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:]
    (tmp_path / "turned.jpg").write_bytes(marked)
    got = read(tmp_path / "turned.jpg")[0].image
    assert np.abs(got.astype(int) - np.rot90(image, -1)).mean() < 8


def test_folder_in_natural_order(tmp_path):
    for number in (10, 9, 1, 100):
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), np.full((20, 20, 3), number, np.uint8))
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.png").write_text("not a picture either")
    frames = read(tmp_path)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 9, 10, 100]
    assert [frame.time for frame in frames] == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("content", [None, "notes.txt"])
def test_folder_without_pictures(tmp_path, content):
    if content:
        (tmp_path / content).write_text("hello")
    assert "holds no pictures" in refused(tmp_path)


def test_unreadable_picture_in_a_folder_is_left_out_and_named(tmp_path):
    for name in ("a.png", "c.png"):
        cv2.imwrite(str(tmp_path / name), scene(0))
    (tmp_path / "b.png").write_text("broken")
    frames, message = read_until_break(tmp_path)
    assert [frame.index for frame in frames] == [0, 1]
    assert "b.png is not a picture" in message


def test_folder_of_unreadable_pictures(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("broken")
    message = refused(tmp_path)
    assert "a.png is not a picture" in message and "1 more" in message


@pytest.mark.parametrize("spec", [99, "99", "/dev/video99", -1])
def test_no_such_camera(monkeypatch, capfd, spec):
    monkeypatch.setattr(source, "found_cameras", lambda: [0, 2])
    message = refused(spec)
    assert message.startswith(f"Camera {'-1' if spec == -1 else '99'} could not be opened.")
    assert message.endswith("Found cameras: 0, 2.")
    assert capfd.readouterr() == ("", "")


def test_no_camera_at_all(monkeypatch):
    monkeypatch.setattr(source, "found_cameras", lambda: [])
    assert refused(99) == "Camera 99 could not be opened. No camera was found."


def test_busy_camera(monkeypatch):
    monkeypatch.setattr(source, "found_cameras", lambda: [99])
    assert "close the program that uses it" in refused(99)


class FakeCapture:
    """Stands in for cv2.VideoCapture: a blue picture five times, then nothing."""

    def __init__(self, index):
        self.left = 5

    def isOpened(self):
        return True

    def get(self, what):
        return 30.0

    def set(self, what, value):
        return True

    def read(self):
        self.left -= 1
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[..., 0] = 200
        return (True, picture) if self.left >= 0 else (False, None)

    def release(self):
        self.left = 0


def test_camera_gives_rgb_and_reports_that_it_stopped(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    with open_source(0) as camera:
        assert (camera.live, camera.width, camera.height, camera.fps) == (True, 64, 48, 30.0)
    frames, message = read_until_break("0")
    assert len(frames) == 4  # the first one was looked at when it was opened
    assert tuple(frames[0].image[0, 0]) == (0, 0, 200)
    times = [frame.time for frame in frames]
    assert times == sorted(times) and times[0] >= 0
    assert "Camera 0 stopped after 4 frames" in message


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


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def test_stream_nobody_serves():
    message = refused("http://user:secret@127.0.0.1:1/live")
    assert message == "http://127.0.0.1:1/live could not be opened: Connection refused."


def test_silent_server(monkeypatch):
    monkeypatch.setattr("realtime.video._PATIENCE", 0.2)
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


def send_once(server, data):
    connection, _ = server.accept()
    with connection:
        connection.sendall(data)


def test_frames_match_a_plain_decoder_on_the_demo_clip():
    path = Path(__file__).parents[1] / "data" / "astronaut.mp4"
    with av.open(str(path)) as container:
        reference = [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
    frames = read(path)
    assert len(frames) == len(reference) == 250
    for frame, (seconds, image) in zip(frames, reference, strict=True):
        assert frame.time == pytest.approx(seconds, abs=1e-6)
        assert np.array_equal(frame.image, image)
