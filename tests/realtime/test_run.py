import json
from dataclasses import replace
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest

from realtime.faces import EXPRESSIONS, HeadPose
from realtime.output.files import SinkError
from realtime.output.video import VideoSink
from realtime.output.window import HELP
from realtime.run import Outputs, Run
from realtime.sources.frame import Frame, SourceError
from realtime.sources.live import View
from realtime.timing import StageTimer
from tests.realtime.support.media import face_at

WIDTH, HEIGHT = 320, 240


class FakePipeline:
    """Sees one face at the image's left, turned to the image's right."""

    def __init__(self):
        self.timer = StageTimer()

    def process(self, frame):
        expression = np.full(8, 0.02, np.float32)
        expression[EXPRESSIONS.index("happiness")] = 0.86
        pose = HeadPose(25.0, 5.0, 10.0)
        return [replace(face_at(80, 120), track_id=3, expression=expression, pose=pose)]


class FakeWindow:
    """Presses the given keys, one a frame, and keeps what it was shown."""

    def __init__(self, keys=()):
        self.keys, self.pictures, self.waits = list(keys), [], []

    def show(self, image, wait=0.0):
        self.pictures.append(image.copy())
        self.waits.append(wait)
        return self.keys.pop(0) if self.keys else ""


def frames(count):
    for index in range(count):
        yield View(Frame(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), index, index / 25), None)


def source(count=10, live=False):
    return SimpleNamespace(
        name="Camera 0", width=WIDTH, height=HEIGHT, fps=25.0, frames=count, live=live
    )


NO_OUTPUTS = Outputs()


def run(tmp_path, count=10, keys=None, outputs=NO_OUTPUTS, **options):
    window = FakeWindow(keys) if keys is not None else None
    with Run(source(count, live=True), FakePipeline(), outputs, window, **options) as run:
        run.process(frames(count))
    return run, window


def all_outputs(folder):
    return Outputs(folder / "out.mp4", folder / "out.jsonl", folder / "out.csv")


def pictures_of(path):
    with av.open(str(path)) as video:
        return [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]


def test_every_frame_reaches_every_file(tmp_path):
    done, _ = run(tmp_path, 10, outputs=all_outputs(tmp_path))

    assert len(pictures_of(tmp_path / "out.mp4")) == 10
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(10))
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 11
    assert "happiness" in done.summary.table() and "+25°" in done.summary.table()


def test_a_mirror_turns_the_picture_but_not_the_numbers(tmp_path):
    run(tmp_path, 2, outputs=all_outputs(tmp_path), mirror=True)

    (face,) = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])["faces"]
    assert face["pose"] == {"yaw": 25.0, "pitch": 5.0, "roll": 10.0}
    assert face["box"][0] < WIDTH / 2
    red, green, blue = pictures_of(tmp_path / "out.mp4")[0].astype(int).transpose(2, 0, 1)
    _, columns = np.nonzero((blue > red + 60) & (blue > green + 40))
    nose = WIDTH - 1 - 80
    assert abs(columns.mean() - nose) < 30, "the axes stand at the mirrored nose"
    assert columns.mean() < nose, "and the z axis points to the other side"


def test_keys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done, window = run(tmp_path, 12, keys=["", "p", "", "h", "s", "r", "", "", "r", "q"])

    assert len(window.pictures) == 10, "q ends the run"
    assert np.abs(window.pictures[1].astype(int) - window.pictures[2]).max() > 50, (
        "p hides the axes"
    )
    picture, video = done.saved
    saved = cv2.imread(str(picture))[:, :, ::-1]
    np.testing.assert_array_equal(saved, window.pictures[4])
    assert len(pictures_of(video)) == 3


def test_a_recording_left_on_is_finished_at_the_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done, _ = run(tmp_path, 5, keys=["r"])
    assert len(pictures_of(done.saved[0])) == 4


def test_a_file_is_shown_at_its_own_speed_and_a_camera_at_once(tmp_path):
    for live in (False, True):
        window = FakeWindow()
        with Run(source(5, live), FakePipeline(), Outputs(), window) as shown:
            shown.process(frames(5))
        assert (max(window.waits) > 0.01) is not live


def test_a_source_that_breaks_leaves_whole_files(tmp_path):
    def breaking():
        yield from frames(4)
        raise SourceError("clip.mp4 breaks off after 4 frames.")

    with (
        pytest.raises(SourceError),
        Run(source(), FakePipeline(), all_outputs(tmp_path)) as broken,
    ):
        broken.process(breaking())

    assert len(pictures_of(tmp_path / "out.mp4")) == 4
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 4


def test_help_names_every_key():
    assert all(f"{key} " in HELP for key in "qsrpih")


def test_trouble_is_shown_and_said_once_each_time(capsys):
    views = [*frames(2), *[View(None, f"no picture for {i} s") for i in (1, 2, 3)], *frames(1)]
    window = FakeWindow()
    with Run(source(3, live=True), FakePipeline(), Outputs(), window) as shown:
        shown.process(views)

    assert len(window.pictures) == 6, "the window stays alive without frames"
    assert window.pictures[3].mean() < 0.7 * window.pictures[1].mean(), "and shows the trouble"
    said = capsys.readouterr().err.splitlines()
    assert said == ["Camera 0: no picture for 1 s", "Camera 0: back again"]


def test_an_output_that_fails_ends_the_run(tmp_path, monkeypatch):
    def full(self, image, time):
        raise SinkError("out.mp4 cannot be written: No space left on device.")

    monkeypatch.setattr("realtime.output.video.VideoSink.write", full)
    with pytest.raises(SinkError, match="No space left"):
        run(tmp_path, 20, outputs=Outputs(tmp_path / "out.mp4", tmp_path / "out.jsonl"))
    assert all(map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines()))


def test_news_are_shown_and_said_once_and_retries_are_not_repeated(capsys):
    news = [View(view.frame, None, "the picture has 320×240 pixels now") for view in frames(3)]
    words = "Camera 0 could not be opened. Next try in {} s."
    away = [View(None, words.format(wait)) for wait in (1, 2, 2)]
    window = FakeWindow()
    with Run(source(9, live=True), FakePipeline(), Outputs(), window) as shown:
        shown.process([*frames(2), *news, *away])

    plain, told = window.pictures[1][-40:], window.pictures[3][-40:]
    assert np.abs(plain.astype(int) - told).max() > 50, "the bottom of the picture says it"
    assert capsys.readouterr().err.splitlines() == [
        "Camera 0: the picture has 320×240 pixels now",
        "Camera 0 could not be opened. Next try in 1 s.",
    ]


def test_a_camera_without_a_single_picture_leaves_a_window_that_can_be_closed():
    window = FakeWindow(["", "", "q"])
    with Run(source(live=True), FakePipeline(), Outputs(), window) as shown:
        shown.process(View(None, "no picture for 2 s") for _ in range(100))
    assert len(window.pictures) == 3


@pytest.mark.parametrize(("key", "suffix"), [("s", ".png"), ("r", ".mp4")])
def test_a_key_that_cannot_write_says_so_and_the_run_goes_on(
    tmp_path, monkeypatch, capsys, key, suffix
):
    (tmp_path / "file").touch()
    nowhere = tmp_path / "file" / f"faces{suffix}"
    monkeypatch.setattr("realtime.run._free_name", lambda suffix: nowhere)
    done, window = run(
        tmp_path, 8, keys=["", key, "", key], outputs=Outputs(jsonl=tmp_path / "out.jsonl")
    )

    assert done.saved == [] and len(window.pictures) == 8
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 8
    printed, error = capsys.readouterr()
    assert "Writing" not in printed
    assert len(error.splitlines()) == 2 and error.count(f"{nowhere} cannot be written") == 2
    before, after = (window.pictures[index][-40:].astype(int) for index in (1, 2))
    assert np.abs(before - after).max() > 50, "the bottom of the picture says it"


def test_a_picture_on_a_full_disk_is_not_called_saved(tmp_path, monkeypatch, capsys):
    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    monkeypatch.setattr("cv2.imwrite", lambda *arguments: False)
    done, window = run(tmp_path, 4, keys=["s"])
    assert done.saved == [] and len(window.pictures) == 4
    printed, error = capsys.readouterr()
    assert "Writing" not in printed and "cannot be written: No space left" in error
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_fails_is_said_and_the_run_goes_on(tmp_path, monkeypatch, capsys):
    def full(self, image, time):
        raise SinkError("faces.mp4 cannot be written: No space left on device. Make room.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("realtime.output.video.VideoSink.write", full)
    done, window = run(tmp_path, 20, keys=["r"], outputs=Outputs(jsonl=tmp_path / "out.jsonl"))

    assert len(window.pictures) == len((tmp_path / "out.jsonl").read_text().splitlines()) == 20
    assert done._recording is None
    assert capsys.readouterr().err.count("No space left") == 1


def test_a_recording_that_cannot_be_finished_leaves_the_other_files_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    closes = VideoSink.close

    def close(self):
        closes(self)
        if self._path.name.startswith("faces-"):
            raise SinkError("The recording cannot be written.")

    monkeypatch.setattr("realtime.output.video.VideoSink.close", close)
    with pytest.raises(SinkError, match="recording"):
        run(tmp_path, 6, keys=["r"], outputs=all_outputs(tmp_path))
    assert len(pictures_of(tmp_path / "out.mp4")) == 6
