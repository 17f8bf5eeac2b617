"""The command line as a user meets it: good runs, and every kind of bad input."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import realtime.__main__
from engine.registry import MODELS
from realtime.__main__ import main
from tests.realtime.support.media import cut, repeat, scene, turn, write_empty_video, write_video
from tests.realtime.support.paths import CLIP, ROOT


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """The first second of the astronaut."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(CLIP)) as video:
        images = [
            frame.to_ndarray(format="rgb24")
            for frame, _ in zip(video.decode(video=0), range(25), strict=False)
        ]
    return write_video(path, images)


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory):
    """So long that a test that has to wait for the processor still finds the program at work."""
    return repeat(CLIP, 20, tmp_path_factory.mktemp("clip") / "long.mp4")


def decoded(path) -> int:
    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))


def records(path) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_a_video_in_records_out(clip, tmp_path, capsys):
    outputs = {name: tmp_path / f"out.{name}" for name in ("webm", "jsonl", "csv")}
    code = main(
        [
            *("--source", str(clip), "--no-display", "--output", str(outputs["webm"])),
            *("--jsonl", str(outputs["jsonl"]), "--csv", str(outputs["csv"]), "--max-faces", "1"),
            *("--profile", "--profile-plot", str(tmp_path / "stages.png")),
        ]
    )

    assert code == 0
    lines = records(outputs["jsonl"])
    assert [line["frame"] for line in lines] == list(range(25))
    assert lines[5]["time"] == pytest.approx(0.2, abs=1e-3)
    for line in lines:
        (face,) = line["faces"]
        assert face["id"] == 0 and len(face["landmarks"]) == 5
        assert sum(face["expression"]["probabilities"].values()) == pytest.approx(1, abs=1e-3)
        assert set(face["pose"]) == {"yaw", "pitch", "roll"}
    assert decoded(outputs["webm"]) == 25
    assert len(outputs["csv"].read_text().splitlines()) == 26
    printed = capsys.readouterr().out
    assert "sha256" in printed and ", CPU" in printed and "25 frames" in printed
    for name in ("ipd_fer", "mtcnn_pnet", "mtcnn_rnet", "mtcnn_onet"):
        assert len(re.findall(rf"^Engine   {name}(?:\.int8)?: \w", printed, re.MULTILINE)) == 1
    assert "recognise" in printed and cv2.imread(str(tmp_path / "stages.png")) is not None


def test_the_precision_of_the_detector_is_an_option(clip, tmp_path, capsys):
    options = ["--source", str(clip), "--no-display", "--jsonl", str(tmp_path / "out.jsonl")]
    options += ["--device", "cpu", "--backend", "onnxruntime", "--detector-precision"]
    assert main([*options, "fp32"]) == 0
    assert "Engine   mtcnn_onet: ONNX Runtime" in capsys.readouterr().out
    assert main([*options, "fp16"]) == 1
    assert "mtcnn_pnet.onnx in fp32, not in fp16" in capsys.readouterr().err


def test_a_folder_of_pictures(tmp_path):
    with av.open(str(CLIP)) as video:
        picture = next(video.decode(video=0)).to_ndarray(format="bgr24")
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), picture)
    cv2.imwrite(str(folder / "2.jpg"), cv2.resize(picture, None, fx=1.5, fy=1.5))
    cv2.imwrite(str(folder / "10.png"), np.zeros_like(picture))

    assert (
        main(["--source", str(folder), "--no-display", "--jsonl", str(tmp_path / "o.jsonl")]) == 0
    )

    assert [len(line["faces"]) for line in records(tmp_path / "o.jsonl")] == [1, 1, 0]


def bad_inputs(folder: Path) -> dict[str, tuple[list[str], str]]:
    """Options that cannot work, and words that the message must have."""
    text = folder / "text.mp4"
    text.write_text("This is no video.")
    (folder / "empty").mkdir()
    cv2.imwrite(str(folder / "tiny.png"), np.zeros((3, 3, 3), np.uint8))
    good = str(write_video(folder / "good.mp4", [scene(i) for i in range(3)]))
    out = ["--jsonl", str(folder / "o.jsonl")]
    source = {
        "missing file": (str(folder / "missing.mp4"), "does not exist"),
        "text as video": (str(text), "text.mp4"),
        "video without frames": (str(write_empty_video(folder / "none.mp4")), "none.mp4"),
        "empty folder": (str(folder / "empty"), "holds no pictures"),
        "tiny picture": (str(folder / "tiny.png"), "3×3"),
    }
    cases = {name: (["--source", path, *out], words) for name, (path, words) in source.items()}
    return cases | {
        "no such camera": (["--camera", "99", *out], "Camera 99 could not be opened"),
        "no output folder": (
            ["--source", good, "--output", str(folder / "nowhere/o.mp4")], "create the folder",
        ),
        "output cannot be written": (
            ["--source", good, "--jsonl", str(text / "o.jsonl")], "cannot be written",
        ),
        "output is the source": (["--source", good, "--output", good], "given twice"),
        "unknown format": (["--source", good, "--output", str(folder / "o.avi")], ".mp4 or .webm"),
        "no such model": (["--source", good, "--model", "nothing.onnx", *out], "nothing.onnx"),
        "model of another kind": (
            ["--source", good, "--model", "mtcnn_onet", *out], "not a face model",
        ),
        "model is no model": (["--source", good, "--model", str(text), *out], "text.mp4"),
        "nothing to look at": ([], "--camera 0"),
        "two things to look at": (["--camera", "0", "--source", good], "--camera 0"),
        "nothing to show or write": (["--source", good, "--no-display"], "--jsonl"),
        "face too small": (["--source", good, "--min-face", "3", *out], "12 or more"),
        "no faces wanted": (["--source", good, "--max-faces", "0", *out], "1 or more"),
        "smoothing below zero": (["--source", good, "--smoothing=-1", *out], "0 or more"),
        "smoothing no number": (["--source", good, "--smoothing=nan", *out], "0 or more"),
    }  # fmt: skip


def test_bad_input_is_one_clear_line(tmp_path, capsys, monkeypatch, subtests):
    monkeypatch.setattr(realtime.__main__, "display_problem", lambda: "There is no display here.")
    for name, (arguments, words) in bad_inputs(tmp_path).items():
        with subtests.test(name):
            code = main(arguments)
            error = capsys.readouterr().err.strip()
            assert code in (1, 2)
            assert words in error and "\n" not in error and "Traceback" not in error


def test_a_flipped_byte_in_a_shipped_model_is_noticed(tmp_path, capsys, monkeypatch):
    models = tmp_path / "models"
    models.mkdir()
    for path in MODELS.iterdir():
        (models / path.name).write_bytes(path.read_bytes())
    damaged = bytearray((models / "ipd_fer.onnx").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (models / "ipd_fer.onnx").write_bytes(damaged)
    monkeypatch.setattr("engine.registry.MODELS", models)

    model = str(models / "ipd_fer.onnx")
    code = main(
        ["--source", str(CLIP), "--no-display", "--jsonl", str(tmp_path / "o"), "--model", model]
    )

    assert code == 1
    assert "does not match its sha256" in capsys.readouterr().err


def test_a_truncated_video_is_processed_as_far_as_it_goes(clip, tmp_path, capsys):
    with av.open(str(clip)) as video:
        images = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    whole = write_video(tmp_path / "whole.mp4", images, movflags="faststart")
    out = tmp_path / "out.mp4"

    code = main(["--source", str(cut(whole, 0.93)), "--no-display", "--output", str(out)])

    assert code == 1
    assert "breaks off" in capsys.readouterr().err
    assert 5 <= decoded(out) < 25


def test_an_unknown_option_is_an_error(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["--speed", "9"])
    assert exit.value.code == 2
    assert "--speed" in capsys.readouterr().err


def test_without_a_display_a_run_says_so_and_goes_on(clip, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(realtime.__main__, "display_problem", lambda: "There is no display here.")

    assert main(["--source", str(clip), "--jsonl", str(tmp_path / "o.jsonl")]) == 0
    assert "no display here. Running without a window" in capsys.readouterr().out
    assert main(["--source", str(clip)]) == 2
    assert "--jsonl" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another thing there")
def test_ctrl_c_leaves_a_playable_video_and_whole_lines(long_clip, tmp_path):
    video, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    # What a suite in the background of a shell starts is deaf to Ctrl-C.
    hear = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    process = started("--output", video, "--jsonl", lines, source=long_clip, before=hear)
    wait_for(lines, 8_000)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Stopped" in error and "Traceback" not in error
    count = len(records(lines))
    assert count > 5
    assert abs(decoded(video) - count) <= 1


def wait_for(path, size: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and (not path.exists() or path.stat().st_size < size):
        time.sleep(0.02)


def started(*arguments, source=CLIP, before="") -> subprocess.Popen:
    """The program in a process of its own, after a line of Python."""
    program = f"{before}\nimport sys\nfrom realtime.__main__ import main\nsys.exit(main())"
    command = [sys.executable, "-c", program, "--source", str(source), "--no-display"]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal there")
def test_a_killed_run_leaves_a_playable_video_and_whole_lines(long_clip, tmp_path):
    video, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    process = started("--output", video, "--jsonl", lines, source=long_clip)
    wait_for(lines, 50_000)
    process.kill()
    process.communicate(timeout=60)

    assert process.returncode == -signal.SIGKILL
    count = len(records(lines))
    assert lines.read_text().endswith("\n")
    assert count - 35 <= decoded(video) <= count, "all but about the last second"


@pytest.mark.skipif(sys.platform == "win32", reason="the limit on a file's size is a thing of Unix")
def test_a_full_disk_ends_the_run_with_one_line_and_whole_files(tmp_path):
    video, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"
    process = started("--output", video, "--jsonl", lines, before=full)
    _, error = process.communicate(timeout=240)

    assert process.returncode == 1
    said = [line for line in error.splitlines() if "cannot be written" in line]
    assert len(said) == 1 and "Make room" in said[0] and "Traceback" not in error
    assert len(records(lines)) > 20
    player, shown = cv2.VideoCapture(str(video)), 0
    while player.read()[0]:
        shown += 1
    assert shown >= 20


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break in another way there")
@pytest.mark.parametrize(
    "command",
    [
        ["engine", "info"],
        ["realtime", "--source", CLIP, "--no-display", "--jsonl", "/dev/stdout"],
    ],
)
def test_a_reader_who_has_seen_enough_is_no_error(command):
    """What `| head` does."""
    with subprocess.Popen(
        [sys.executable, "-m", *map(str, command)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a thing of Linux")
@pytest.mark.parametrize("full", ["printed", "recorded"])
def test_a_full_disk_is_one_line_for_what_is_printed_and_for_what_is_recorded(tmp_path, full):
    lines = tmp_path / "out.jsonl" if full == "printed" else "/dev/full"
    command = [sys.executable, "-m", "realtime", "--source", str(CLIP), "--no-display"]
    with open("/dev/full" if full == "printed" else os.devnull, "w") as stdout:
        done = subprocess.run(
            [*command, "--jsonl", str(lines)],
            cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 1
    assert "Make room" in done.stderr and done.stderr.count("\n") == 1


def test_a_source_in_4k_and_one_on_end(tmp_path):
    """A large frame, and a portrait video that is stored lying down."""
    with av.open(str(CLIP)) as container:
        image = next(container.decode(video=0)).to_ndarray(format="rgb24")
    large = cv2.resize(image, (3840, 2160), interpolation=cv2.INTER_LINEAR)
    cv2.imwrite(str(tmp_path / "large.png"), large[:, :, ::-1])
    lying = turn(write_video(tmp_path / "lying.mp4", [np.rot90(image).copy()] * 3), 1)
    for source, size in ((tmp_path / "large.png", (3840, 2160)), (lying, (640, 480))):
        out = tmp_path / f"{source.stem}.jsonl"
        assert main(["--source", str(source), "--no-display", "--jsonl", str(out)]) == 0
        for record in records(out):
            (face,) = record["faces"]
            x1, y1, x2, y2 = face["box"]
            centre = np.array([(x1 + x2) / 2 / size[0], (y1 + y2) / 2 / size[1]])
            np.testing.assert_allclose(centre, [0.5, 0.49], atol=0.05)


def test_the_application_needs_neither_torch_nor_gradio():
    program = "import sys, realtime.__main__; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in result.stdout.split()}
    assert not loaded & {"torch", "torchvision", "facenet_pytorch", "gradio", "train", "matplotlib"}
