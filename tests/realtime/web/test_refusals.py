"""What cannot be used is refused in a clear line on the page, and the server goes on."""

import io
import mimetypes
import re
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from PIL import Image

from realtime.web.checks import VIDEO_SECONDS
from realtime.web.tabs import EXAMPLES
from tests.realtime.support.media import cut, scene, write_empty_video, write_sound, write_video
from tests.realtime.web.test_tabs import files, give_picture, give_video


def bomb() -> bytes:
    """A PNG of 20 000×20 000 pixels in 50 kB."""
    data = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(data, "png")
    return data.getvalue()


def long_video(path: Path) -> Path:
    """A few frames over more time than is allowed, which its header does not tell."""
    times = [0.0, 1.0, VIDEO_SECONDS + 10.0]
    return write_video(path, [scene(index) for index in range(3)], times)


def named(name: str, data: bytes) -> dict:
    return {"name": name, "mimeType": mimetypes.guess_type(name)[0], "buffer": data}


PICTURES = {
    "a text file": (lambda: named("notes.txt", b"This is no picture."), "Only image/\\*"),
    "a text file called a picture": (
        lambda: named("notes.png", b"No picture."),
        "is not a picture",
    ),
    "0 bytes": (lambda: named("empty.jpg", b""), "is not a picture"),
    "half a picture": (
        lambda: named("half.jpg", (EXAMPLES / "one.jpg").read_bytes()[:400]),
        "cannot be read|is not a picture",
    ),
    "4 pixels": (
        lambda: named("tiny.png", _png(np.zeros((2, 2, 3), np.uint8))),
        "at least 16×16 are needed",
    ),
    "a decompression bomb": (lambda: named("bomb.png", bomb()), "at most 50 million pixels"),
}


def _png(image: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(image).save(data, "png")
    return data.getvalue()


def toast(page, words: str) -> str:
    """What the page tells once `words` are in it; then the message is closed."""
    message = page.locator(".toast-body", has_text=re.compile(words))
    message.wait_for(timeout=90_000)  # Chromium is long busy with showing the bomb
    text = message.inner_text()
    assert "Traceback" not in text and "/tmp" not in text
    message.locator(".toast-close").click()
    message.wait_for(state="detached")
    return text


def test_pictures_that_cannot_be_used(visit, server, subtests):
    page = visit("Picture")
    for name, (file, words) in PICTURES.items():
        with subtests.test(name):
            give_picture(page, file())
            toast(page, words)
            if page.get_by_label("Remove Image").count():
                page.get_by_label("Remove Image").click()
                page.get_by_label("Remove Image").wait_for(state="detached")
    give_picture(page, EXAMPLES / "one.jpg")
    page.locator("#picture-crops img").first.wait_for()


def test_a_picture_without_faces(visit):
    page = visit("Picture")
    give_picture(page, named("scene.png", _png(scene(0))))
    toast(page, "No face was found")
    page.locator("#picture-annotated img").wait_for()


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> dict[str, tuple[Path, str]]:
    """Files that are no usable video, and words of the message."""
    folder = tmp_path_factory.mktemp("videos")
    text, nothing, sound = folder / "notes.mp4", folder / "nothing.mp4", folder / "sound.mp4"
    text.write_text("This is no video.")
    nothing.write_bytes(b"")
    whole = write_video(folder / "whole.mp4", [scene(index) for index in range(30)])
    return {
        "a text file": (text, "is neither a video nor a picture"),
        "0 bytes": (nothing, "is neither a video nor a picture"),
        "sound": (write_sound(sound), "holds no video stream, only sound"),
        "no frame": (write_empty_video(folder / "none.mp4"), "without a single frame"),
        "cut before its index": (cut(whole, 0.5), "cut off before its index"),
        "too long": (long_video(folder / "long.mp4"), "longer than 3 minutes"),
    }


def test_videos_that_cannot_be_used(visit, server, videos, subtests):
    page = visit("Video")
    for name, (path, words) in videos.items():
        with subtests.test(name):
            give_video(page, path)
            toast(page, words)
            page.locator("#video-input").get_by_label("Clear").first.click()
            page.locator("#video-start:disabled").wait_for()
    assert not any(path.suffix == ".csv" for path in files(server))


def test_a_truncated_video_is_shown_as_far_as_it_goes(visit, short_clip, tmp_path):
    with av.open(str(short_clip)) as video:
        images = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    whole = write_video(tmp_path / "whole.mp4", images, movflags="faststart")
    page = visit("Video")
    give_video(page, cut(whole, 0.93))
    assert "breaks off" in toast(page, "breaks off")
    page.wait_for_function("document.querySelector('#annotated-video video')?.readyState >= 2")


def test_a_video_without_faces(visit, tmp_path):
    page = visit("Video")
    give_video(page, write_video(tmp_path / "empty.mp4", [scene(i) for i in range(10)]))
    page.get_by_text("No face was seen.").wait_for()
    assert page.locator("#video-timeline .timeline").is_hidden()


@pytest.mark.parametrize(
    "name", ["../../evil.png", "..", "a\"b'c;$(id).png", "/etc/evil.png", "ä 中.png"]
)
def test_names_stay_inside_the_folder(server, name):
    beside = set(server.folder.parent.iterdir())
    upload = {"files": (name, b"data", "image/png")}
    answer = httpx.post(f"{server.url}gradio_api/upload", files=upload)
    if answer.status_code == 200:
        (path,) = map(Path, answer.json())
        assert path.resolve().is_relative_to(server.folder) and path.read_bytes() == b"data"
        path.unlink()
    else:
        assert answer.status_code == 400
    assert set(server.folder.parent.iterdir()) == beside


def test_a_picture_with_an_ugly_name_is_taken(visit):
    page = visit("Picture")
    give_picture(page, named('it\'s "me".jpg', (EXAMPLES / "one.jpg").read_bytes()))
    page.locator("#picture-crops img").first.wait_for()


def test_files_of_the_machine_cannot_be_fetched(server):
    for path in ("/etc/passwd", f"{server.folder}/../../../etc/passwd", str(Path(__file__))):
        assert httpx.get(f"{server.url}gradio_api/file={path}").status_code == 403
