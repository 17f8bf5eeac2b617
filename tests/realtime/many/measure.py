"""``python -m tests.realtime.many.measure``: how fast many videos are read, and what happens where
a worker or the program is killed. Makes its own corpus, from the recorded clip."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import av
import cv2
import numpy as np
import tyro

from realtime.many.run import read_videos
from realtime.measure.memory import resident_memory
from tests.realtime.many.corpora import about, children, failures, files
from tests.realtime.many.test_parts import compare
from tests.realtime.support.media import repeat, write_empty_video, write_sound, write_video
from tests.realtime.support.paths import CLIP, ROOT

KEY_FRAMES = "12"
"""Frames from one to the next, at which the pieces are cut without encoding them again."""


@dataclass(frozen=True)
class Speed:
    """Frames a second of the command for many videos beside the single command in a loop, which
    take turns over parts of the same corpus."""

    videos: int = 200
    turns: int = 2
    ray: str | None = None
    """Address of a Ray cluster, or local."""
    seconds: float = 2.0
    """Of a video, in the mean."""
    seed: int = 0


@dataclass(frozen=True)
class Kill:
    """Kill workers, or the program, at random moments; the files must be those of a run that nobody
    disturbed."""

    what: Annotated[str, tyro.conf.arg(help="worker or driver")] = "worker"
    times: int = 20
    videos: int = 20
    seconds: float = 0.5
    seed: int = 0
    longest: float = 8.0
    """Seconds between two kills, at most."""
    ray: str | None = None


@dataclass(frozen=True)
class Memory:
    """Memory of the program over many empty and tiny videos."""

    videos: int = 10_000
    tiny: int = 10
    """Of so many videos one is a tiny one; the others are empty files."""


@dataclass(frozen=True)
class Parts:
    """How far a video in parts is from the whole, and what it costs."""

    repeats: int = 3
    """How often the clip of 10 seconds is played on end."""
    part: float = 16.0
    clip: Path = CLIP


def main() -> None:
    options = tyro.cli(Speed | Kill | Memory | Parts)
    with tempfile.TemporaryDirectory() as folder:
        commands = {Speed: speed, Kill: kill, Memory: memory, Parts: measure_parts}
        commands[type(options)](options, Path(folder))


def speed(options: Speed, folder: Path) -> None:
    corpora = []
    for turn in range(options.turns):
        count = options.videos // options.turns
        corpus = folder / f"corpus{turn}"
        corpora.append((corpus, make(corpus, count, options.seconds, options.seed + turn)))
    broken = sum(count for _, count in corpora)
    print(f"{options.videos} videos, {broken} of them broken; load {os.getloadavg()[0]:.1f}")
    spent = {"many": [0.0, 0.0, 0], "loop": [0.0, 0.0, 0]}
    for turn, (corpus, _) in enumerate(corpora):
        for side in ("many", "loop") if turn % 2 else ("loop", "many"):
            cpu, started = processor(), time.monotonic()
            if side == "many":
                frames = many(corpus, folder / f"many{turn}", options.ray)
            else:
                frames = loop(corpus, folder / f"loop{turn}")
            one = (time.monotonic() - started, processor() - cpu, frames)
            spent[side] = [a + b for a, b in zip(spent[side], one, strict=True)]
            print(f"{side}: {one[2]} frames, {one[0]:.1f} s, {one[1]:.1f} s of a core", flush=True)
    rates = {side: frames / wall for side, (wall, _, frames) in spent.items()}
    costs = {side: 1000 * cpu / frames for side, (_, cpu, frames) in spent.items()}
    print(f"frames/s: {rates['many']:.1f} and {rates['loop']:.1f} in a loop, ratio "
          f"{rates['many'] / rates['loop']:.2f}")  # fmt: skip
    print(f"ms of a core a frame: {costs['many']:.1f} and {costs['loop']:.1f} in a loop")


def many(corpus: Path, output: Path, ray: str | None = None) -> int:
    """Frames read by one command."""
    subprocess.run(command(corpus, output, ray), env=environment(), capture_output=True)
    return sum(about(path)["frames"] for path in output.rglob("*.parquet"))


def loop(corpus: Path, output: Path) -> int:
    """Frames read by a command for each video."""
    output.mkdir()
    for path in sorted(path for path in corpus.rglob("*") if path.is_file()):
        records = output / f"{path.name}.jsonl"
        words = ["--source", str(path), "--no-display", "--jsonl", str(records)]
        one = [sys.executable, "-m", "realtime", *words]
        subprocess.run(one, env=environment(), capture_output=True)
    return sum(len(path.read_text().splitlines()) for path in output.glob("*.jsonl"))


def kill(options: Kill, folder: Path) -> None:
    corpus, expected, output = folder / "corpus", folder / "expected", folder / "faces"
    make(corpus, options.videos, options.seconds, options.seed)
    many(corpus, expected, options.ray)
    wanted = files(expected)
    print(f"{len(wanted)} files, {len(failures(expected))} failures", flush=True)
    chance = random.Random(options.seed)
    killed = runs = 0
    while killed < options.times:
        process = subprocess.Popen(
            command(corpus, output, options.ray), env=environment(), stdout=-3, stderr=-3
        )
        while process.poll() is None and killed < options.times:
            end = time.monotonic() + chance.uniform(0, options.longest)
            while process.poll() is None and time.monotonic() < end:
                time.sleep(0.02)
            victims = [process.pid] if options.what == "driver" else workers_of(process, options)
            if victims and process.poll() is None:
                os.kill(chance.choice(victims), signal.SIGKILL)
                killed += 1
                if options.what == "driver":
                    process.wait()
        process.wait()
        runs += 1
        check_whole(output, wanted)
        print(f"{killed} killed, {len(list(output.rglob('*.parquet')))} files", flush=True)
        if options.what == "worker" or process.returncode in (0, 1):
            same(output, wanted)
            if killed < options.times:
                subprocess.run(["rm", "-r", str(output)], check=True)
    many(corpus, output, options.ray)
    same(output, wanted)
    print(f"{killed} times a {options.what} killed in {runs} runs: all files are equal")


def workers_of(process: subprocess.Popen, options: Kill) -> list[int]:
    if not options.ray:
        return children(process.pid)
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            if b"ray::MapWorker" in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def check_whole(output: Path, wanted: dict[str, bytes]) -> None:
    """Whatever has a final name is what it is to be."""
    found = {name: content for name, content in files(output).items() if name.endswith(".parquet")}
    assert all(wanted[name] == content for name, content in found.items()), "a file differs"


def same(output: Path, wanted: dict[str, bytes]) -> None:
    found = files(output)
    assert found == wanted, sorted(name for name in found.keys() | wanted.keys()
                                   if found.get(name) != wanted.get(name))  # fmt: skip


def memory(options: Memory, folder: Path) -> None:
    corpus = folder / "corpus"
    tiny = write_video(folder / "tiny.mp4", [np.zeros((48, 64, 3), np.uint8)])
    for index in range(options.videos):
        path = corpus / f"{index // 1000}/{index}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch() if index % options.tiny else os.link(tiny, path)
    seen: list[tuple[int, float]] = []
    ended = threading.Event()

    def sample() -> None:
        failed = folder / "faces/failed.jsonl"
        while not ended.wait(0.5):
            done = failed.read_bytes().count(b"\n") if failed.exists() else 0
            if done and (not seen or done > seen[-1][0] + options.videos // 20):
                seen.append((done, resident_memory()))
                print(f"{done} failures: {seen[-1][1]:.1f} MB", flush=True)

    thread = threading.Thread(target=sample)
    thread.start()
    report = read_videos([corpus], folder / "faces", quiet=True)
    ended.set()
    thread.join()
    print(report)


def measure_parts(options: Parts, folder: Path) -> None:
    path = repeat(options.clip, options.repeats, folder / "long.mp4")
    differences, (whole, parts) = compare(path, folder, options.part)
    print({kind: float(value) for kind, value in differences.items()})
    print(f"seconds of a core: {whole:.1f} whole, {parts:.1f} in parts, ratio {parts / whole:.2f}")


def make(folder: Path, count: int, seconds: float, seed: int) -> int:
    """`count` videos: pieces of the clip, as it is, mirrored, smaller, darker and in other codecs;
    and of 20 one that is broken, in another way each. How many are."""
    folder.mkdir(parents=True)
    originals = variants(folder.parent / "variants")
    chance = random.Random(seed)
    every = breakers()
    broken = [every[(seed + index) % len(every)] for index in range(count // 20)]
    for index in range(count - len(broken)):
        original = originals[index % len(originals)]
        length = max(1, round(chance.uniform(0.5, 1.5) * seconds * 25 / int(KEY_FRAMES)))
        first = chance.randrange(0, max(1, 250 // int(KEY_FRAMES) - length))
        copy_piece(original, folder / f"{index:03}{original.suffix}", first, length)
    for index, breaks in enumerate(broken):
        breaks(originals[-2], folder / f"broken{index}.mp4")
    return len(broken)


def variants(folder: Path) -> list[Path]:
    if folder.exists():
        return sorted(folder.iterdir())
    folder.mkdir()
    with av.open(str(CLIP)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    ways = {
        "plain.mp4": ("libx264", lambda image: image),
        "mirrored.mkv": ("libx264", lambda image: image[:, ::-1]),
        "smaller.mp4": ("libx264", lambda image: cv2.resize(image, (480, 360))),
        "other.webm": ("libvpx", lambda image: image),
        "darker.mov": ("libx264", lambda image: image // 2),
    }
    encoders = {
        "libx264": {"g": KEY_FRAMES, "bf": "0", "preset": "ultrafast"},
        "libvpx": {"g": KEY_FRAMES, "deadline": "realtime", "cpu-used": "8"},
    }
    for name, (codec, change) in ways.items():
        pictures = [np.ascontiguousarray(change(frame)) for frame in frames]
        write_video(folder / name, pictures, codec=codec, options=encoders[codec])
    return sorted(folder.iterdir())


def copy_piece(source: Path, target: Path, first: int, length: int) -> None:
    """So many groups of frames from one key frame to another, as they are."""
    group = -1
    with av.open(str(source)) as video, av.open(str(target), "w") as output:
        stream = output.add_stream_from_template(video.streams.video[0])
        start = None
        for packet in video.demux(video=0):
            if packet.dts is None:
                continue
            group += packet.is_keyframe
            if first <= group < first + length:
                start = packet.dts if start is None else start
                packet.pts, packet.dts = packet.pts - start, packet.dts - start
                packet.stream = stream
                output.mux(packet)


def breakers() -> list:
    """What makes of a good video a broken one: (source, target)."""

    def keep(share: float):
        def write(source: Path, target: Path) -> None:
            data = source.read_bytes()
            target.write_bytes(data[: int(len(data) * share)])

        return write

    def noise(source: Path, target: Path) -> None:
        data = bytearray(source.read_bytes())
        data[len(data) // 3 : len(data) // 2] = random.Random(0).randbytes(
            len(data) // 2 - len(data) // 3
        )
        target.write_bytes(data)

    def cut_stream(source: Path, target: Path) -> None:
        copy_piece(source, stream := target.with_suffix(".ts"), 0, 6)
        keep(0.55)(stream, target)
        stream.unlink()

    return [
        *(keep(0.7), cut_stream, noise, keep(0.01)),
        lambda _, target: target.touch(),
        lambda _, target: target.write_text("This is no video."),
        lambda _, target: write_sound(target),
        lambda _, target: write_empty_video(target),
        lambda _, target: target.symlink_to("nowhere.mp4"),
        lambda _, target: write_video(target, [np.zeros((4, 4, 3), np.uint8)] * 3),
    ]


def command(corpus: Path, output: Path, ray: str | None = None) -> list[str]:
    words = ["videos", str(corpus), "--output", str(output), "--workers", "2"]
    return [sys.executable, "-m", "realtime", *words, *(["--ray", ray] if ray else [])]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def processor() -> float:
    """Seconds of a core that this process and those it has waited for have taken."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()
