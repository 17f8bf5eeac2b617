"""One call for whatever can be looked at, with the shipped networks."""

import gc
import itertools
import json
import logging
import subprocess
import sys
import threading
import time
import weakref

import cv2
import numpy as np
import pytest
from PIL import Image

from engine.contract import EngineError
from realtime import FaceReader, Result
from realtime.__main__ import main
from realtime.detection.mtcnn import DetectorError
from realtime.sources.frame import Frame, SourceError
from realtime.sources.open import open_source
from tests.realtime.support.cameras import FakeCamera, MjpegServer
from tests.realtime.support.media import cut, write_video
from tests.realtime.support.paths import CLIP, ROOT
from tests.realtime.support.sessions import fake_sessions

EXAMPLES = ROOT / "realtime/web/examples"


@pytest.fixture(scope="module")
def reader():
    with FaceReader(backend="onnxruntime", device="cpu") as reader:
        yield reader


@pytest.fixture(scope="module")
def images():
    """The first frames of the astronaut, RGB."""
    with open_source(CLIP) as source:
        return [frame.image for frame in itertools.islice(source, 8)]


def boxes(result: Result) -> list:
    return [face.box.tolist() for face in result.faces]


def test_a_video_gives_what_the_command_line_writes(reader, short_clip, tmp_path):
    lines = tmp_path / "out.jsonl"
    options = ["--backend", "onnxruntime", "--device", "cpu", "--no-display", "--jsonl", str(lines)]
    assert main(["--source", str(short_clip), *options]) == 0
    written = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [result.to_dict() for result in reader(short_clip)] == written and len(written) == 25


def test_a_result_holds_what_is_known_of_its_frame(reader, images):
    result = next(reader(CLIP))
    assert (result.index, result.time, result.source) == (0, 0.0, str(CLIP))
    np.testing.assert_array_equal(result.image, images[0])
    (face,) = result.faces
    assert face.label == "happiness" == max(face.probabilities, key=face.probabilities.get)
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-4)
    assert abs(face.pose.yaw) < 20
    with pytest.raises(AttributeError):
        result.index = 3


def test_a_plot_is_a_new_picture_and_leaves_the_image_as_it_is(reader, images):
    image = images[0].copy()
    result = reader.read(image)
    assert result.image is image, "and it is not copied"
    first, second = result.plot(), result.plot(mirror=True)
    np.testing.assert_array_equal(image, images[0])
    assert not np.shares_memory(first, image) and not np.shares_memory(second, image)
    x1, y1, x2, _ = result.faces[0].box.astype(int)
    changed = np.any(first != image, axis=2)
    assert changed[y1 - 3 : y1 + 4, x1:x2].mean() > 0.3, "the upper side of the box"
    assert np.abs(np.flip(image, 1).astype(int) - second).mean() < 10, "as in a mirror"
    assert np.any(result.plot(show_pose=False) != first)


@pytest.mark.parametrize("kind", ["array", "Pillow", "path", "text"])
def test_one_picture_in_any_form(reader, kind):
    path = EXAMPLES / "two.jpg"
    picture = {
        "array": np.asarray(Image.open(path).convert("RGB")),
        "Pillow": Image.open(path),
        "path": path,
        "text": str(path),
    }[kind]
    result = reader.read(picture)
    assert len(result.faces) == 2 and result.index == 0
    assert result.source == ("picture" if kind in ("array", "Pillow") else str(path))
    np.testing.assert_allclose(boxes(result), boxes(reader.read(path)), atol=0.01)


def test_bgr_is_said_and_comes_back(reader, images):
    image = images[0]
    with FaceReader(share=reader, colour="bgr") as other:
        result = other.read(image[..., ::-1])
        assert boxes(result) == boxes(reader.read(image))
        np.testing.assert_array_equal(result.image, image[..., ::-1])
        np.testing.assert_array_equal(result.plot()[..., ::-1], reader.read(image).plot())
        video = next(other(CLIP))
        np.testing.assert_array_equal(video.image, image[..., ::-1])
        assert boxes(video) == boxes(next(reader(CLIP))), "a file's order is known"
        assert boxes(other.read(Image.fromarray(image))) == boxes(result), "and Pillow's"


def test_a_list_of_many_kinds(reader, images, tmp_path):
    picture = tmp_path / "face.png"
    Image.fromarray(images[0]).save(picture)
    video = write_video(tmp_path / "clip.mp4", images[:3])
    results = list(reader([video, images[0], Image.fromarray(images[1]), picture]))
    assert [(result.source, result.index) for result in results] == [
        *((str(video), index) for index in range(3)),
        ("2 pictures", 0),
        ("2 pictures", 1),
        (str(picture), 0),
    ]
    assert [result.faces[0].track_id for result in results[:3]] == [0, 0, 0]
    assert results[5].faces[0].track_id == 0, "every source has ids of its own"


def test_frames_of_a_program_are_followed_as_a_video(reader, images):
    results = list(reader(iter(images), fps=25))
    assert [result.faces[0].track_id for result in results] == [0] * len(images)
    assert results[3].time == pytest.approx(0.12)


def test_a_folder_of_videos_and_a_part_of_each(reader, images, tmp_path):
    for name in ("b/2.mp4", "a.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_video(tmp_path / name, images)
    taken = [(r.source, r.index) for r in reader(tmp_path, start=0.04, end=0.24, every=2)]
    assert [index for _, index in taken] == [1, 3, 5] * 2
    assert {source for source, _ in taken} == {str(tmp_path / "a.mp4"), str(tmp_path / "b/2.mp4")}


def test_what_breaks_off_is_told_after_all_others_were_read(reader, images, tmp_path):
    whole = write_video(tmp_path / "whole.mp4", images * 4, movflags="faststart")
    (tmp_path / "text.mp4").write_text("no video")
    seen = []
    with pytest.raises(SourceError, match=r"breaks off.*\(1 of the other sources had faults too"):
        for result in reader([cut(whole, 0.93), tmp_path / "text.mp4", whole]):
            seen.append(result.source)
    assert seen.count(str(whole)) == 32 and 0 < len(seen) - 32 < 32


def test_the_newest_frame_of_a_camera_wins_and_leaving_the_loop_frees_it(
    reader, images, monkeypatch
):
    camera = FakeCamera(itertools.cycle(images))
    camera.height, camera.width = images[0].shape[:2]
    monkeypatch.setattr("realtime.reading.open_source", lambda single, mode: camera)
    for result in reader(0):
        if result.index > 20:
            break
    del result
    assert camera.closed

    camera = FakeCamera(itertools.cycle(images))
    results = reader(0)
    first = next(results)
    held = threading.Event()
    held.wait(0.5)  # a caller who takes his time
    next(results)
    assert next(results).index > first.index + 10, "what came meanwhile was dropped"
    results.close()
    results.close()
    assert camera.closed and next(results, None) is None


def test_what_is_wrong_with_a_camera_is_logged_once(reader, images, monkeypatch, caplog):
    script = [*images[:2], "unplugged"]
    cameras = iter([FakeCamera(script), FakeCamera(itertools.cycle(images))])
    monkeypatch.setattr("realtime.reading.open_source", lambda single, mode: next(cameras))
    monkeypatch.setattr("realtime.sources.live.FIRST_WAIT", 0.3)
    with caplog.at_level(logging.WARNING, "realtime"), reader(0) as results:
        next(result for result in results if result.index > 4)
    assert [record.getMessage() for record in caplog.records][:2] == [
        "Camera 0: Camera 0 stopped. Check its cable.",
        "Camera 0: back again",
    ]


def test_an_address_is_a_live_stream_that_ends_where_it_is_told(reader, images):
    with MjpegServer(images) as server:
        times = [result.time for result in reader(server.url, end=0.5)]
        assert times and max(times) < 0.5
        with pytest.raises(ValueError, match="has no end of its own: give one, as end=10"):
            reader(server.url).to_df()


def test_a_slow_source_is_said(reader, monkeypatch, caplog):
    def slow(single, mode):
        threading.Event().wait(0.3)
        raise SourceError("It cannot be opened.")

    monkeypatch.setattr("realtime.reading.SILENCE", 0.05)
    monkeypatch.setattr("realtime.reading.open_source", slow)
    with pytest.raises(SourceError, match="It cannot be opened"):
        next(reader(3))
    assert "takes its time to open" in caplog.text


def test_closing_ends_what_is_read_and_frees_everything(monkeypatch):
    opened, closed = fake_sessions(monkeypatch), []
    monkeypatch.setattr(
        "realtime.sources.video.VideoSource.close", lambda self: closed.append(self)
    )
    with FaceReader() as reader:
        results = reader(CLIP)
        reading = next(results._readings)
        assert len(opened) == 4 and not closed + [s for s in opened if s.closed]
    assert closed == [reading.source] and all(session.closed for session in opened)
    assert next(results, None) is None
    reader.close()
    for use in (lambda: reader(CLIP), lambda: reader.read(CLIP), reader.pipeline):
        with pytest.raises(EngineError, match="This reader is closed: open a new one"):
            use()
    with pytest.raises(EngineError, match="closed"):
        FaceReader(share=reader)


def test_a_caller_who_fails_leaves_no_source_open(reader, monkeypatch):
    closed = []
    monkeypatch.setattr(
        "realtime.sources.video.VideoSource.close", lambda self: closed.append(self)
    )
    monkeypatch.setattr("realtime.pipeline.FacePipeline.process", lambda *_: 1 / 0)
    results = reader(CLIP)
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert len(closed) == 1 and next(results, None) is None


def test_a_camera_that_hangs_is_left_to_the_thread_that_reads_it(reader, monkeypatch):
    camera, hangs = FakeCamera([]), threading.Event()
    frame = Frame(np.zeros((48, 64, 3), np.uint8), 0, 0.0)

    def read():
        yield frame
        hangs.wait()

    monkeypatch.setattr(FakeCamera, "__iter__", lambda self: read())
    monkeypatch.setattr("realtime.sources.live.HANGS_UP", 0.1)
    monkeypatch.setattr("realtime.reading.open_source", lambda single, mode: camera)
    results = reader(0)
    next(results)
    results.close()
    assert not camera.closed, "closing a camera while it is read can crash"
    hangs.set()
    deadline = time.monotonic() + 30
    while not camera.closed and time.monotonic() < deadline:
        time.sleep(0.01)
    assert camera.closed


@pytest.mark.parametrize("shared", [True, False])
def test_a_reader_can_be_closed_while_another_thread_reads(reader, shared):
    options = {"share": reader} if shared else {"backend": "onnxruntime", "device": "cpu"}
    mine, begun, faults = FaceReader(**options), threading.Event(), []

    def read():
        try:
            for _ in mine([CLIP] * 1000):
                begun.set()
        except EngineError as error:
            faults.append(str(error))

    thread = threading.Thread(target=read)
    thread.start()
    assert begun.wait(60)
    mine.close()
    thread.join(60)
    assert not thread.is_alive()
    assert not faults or "is closed" in faults[0]


def test_shared_networks_live_as_long_as_one_reader_does(monkeypatch):
    opened = fake_sessions(monkeypatch)
    first = FaceReader()
    with FaceReader(share=first, min_face=80, max_faces=2, smoothing=0) as second:
        assert len(opened) == 4, "nothing is opened twice"
        third = FaceReader(share=second)
        first.close()
        first.close()
        pipelines = [other.pipeline() for other in (second, third)]
        assert [p.finder.detector.min_face for p in pipelines] == [80, 40]
        assert pipelines[0].finder.detector.max_faces == 2 and pipelines[0].smoother.strength == 0
    assert not any(session.closed for session in opened)
    third.close()
    assert all(session.closed for session in opened)


def test_readers_that_share_read_at_the_same_time(reader, images):
    expected = [boxes(result) for result in reader(images, fps=25)]
    found = {}

    def read(number):
        with FaceReader(share=reader) as mine:
            found[number] = [boxes(result) for result in mine(images, fps=25)]

    threads = [threading.Thread(target=read, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == [expected] * 3


def test_forgotten_results_leave_nothing_behind(reader, monkeypatch):
    camera = FakeCamera(itertools.cycle([200, 90]))
    monkeypatch.setattr("realtime.reading.open_source", lambda single, mode: camera)
    gc.disable()
    try:
        results = reader(0)
        next(results)
        gone = weakref.ref(results)
        del results
        assert gone() is None and camera.closed
    finally:
        gc.enable()


def misuses(reader, tmp_path):
    (tmp_path / "a.txt").write_text("clip.mp4")
    gif = tmp_path / "a.gif"
    Image.new("RGB", (20, 20)).save(gif)
    return {
        "colour": (lambda: FaceReader(colour="gbr"), ValueError, "colour='gbr': say \"rgb\""),
        "smoothing": (lambda: FaceReader(smoothing=-1), ValueError, "smoothing=-1: give 0 or more"),
        "min_face": (lambda: FaceReader(share=reader, min_face=3), DetectorError, "12 or more"),
        "max_faces": (lambda: FaceReader(share=reader, max_faces=0), DetectorError, "1 or more"),
        "share and model": (
            lambda: FaceReader("x.onnx", share=reader, device="cpu"),
            ValueError, "share=… has its own networks: leave model and device out",
        ),
        "device": (lambda: FaceReader(device="tpu"), EngineError, "There is no device tpu"),
        "missing": (lambda: reader("gone.mp4"), SourceError, "gone.mp4 does not exist"),
        "floats": (lambda: reader(np.zeros((40, 40, 3))), TypeError, "no known range"),
        "start": (lambda: reader(CLIP, start=-1), ValueError, "cannot start at -1"),
        "camera size": (lambda: reader(0, camera_size=(0, 9)), ValueError, r"as \(1280, 720\)"),
        "camera rate": (lambda: reader(0, camera_fps=0), ValueError, "give a rate as 30"),
        "read a video": (lambda: reader.read(CLIP), ValueError, r"no single picture.*reader\("),
        "read a folder": (lambda: reader.read(EXAMPLES), ValueError, "is no single picture"),
        "read a GIF": (lambda: reader.read(gif), ValueError, "is no single picture"),
        "read a camera": (lambda: reader.read(0), TypeError, r"go through reader\(0\)"),
        "read a list": (lambda: reader.read([]), TypeError, "A list is no picture"),
        "read nothing": (lambda: reader.read(None), TypeError, "None is nothing to look at"),
        "read bytes": (lambda: reader.read(b"abc"), TypeError, "not bytes"),
        "stream=True": (lambda: reader(CLIP, stream=True), TypeError, "stream: leave it out"),
        "conf=0.5": (lambda: reader(CLIP, conf=0.5), TypeError, r"choose by face\.score"),
        "predict": (lambda: reader.predict(CLIP), AttributeError, r"no predict: reader\(source\)"),
        "results[0]": (lambda: reader(CLIP)[0], TypeError, r"one by one.*next\(results\)"),
        "a slip": (lambda: reader(CLIP, evry=2), TypeError, "There is no argument evry"),
        "boxes": (lambda: reader.read(EXAMPLES / "one.jpg").boxes, AttributeError, "has its box"),
        "a table of what": (lambda: reader(CLIP, end=0.1).to_df("dask"), ValueError, "no data fra"),
    }  # fmt: skip


def test_misuse_is_told_in_one_sentence(reader, tmp_path, subtests):
    for name, (use, kind, words) in misuses(reader, tmp_path).items():
        with subtests.test(name), pytest.raises(kind, match=words) as caught:
            use()
        assert "\n" not in str(caught.value)


def test_the_names_come_when_they_are_asked_for():
    program = """
import sys, realtime
heavy = {"numpy", "cv2", "onnxruntime", "av", "PIL", "tyro", "tqdm"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert {"FaceReader", "Result", "Face", "HeadPose", "EXPRESSIONS"} <= set(dir(realtime))
from realtime import EXPRESSIONS, Face, FaceReader, HeadPose, Reference, Result
assert FaceReader.__module__ == "realtime.reader" and len(EXPRESSIONS) == 8
assert not {"torch", "gradio", "matplotlib", "pandas"} & set(sys.modules)
try:
    realtime.FaceReder
except AttributeError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "module 'realtime' has no attribute 'FaceReder'\n"


def test_it_is_typed():
    assert all((ROOT / part / "py.typed").is_file() for part in ("realtime", "engine"))
    assert cv2.imread(str(EXAMPLES / "one.jpg")) is not None
