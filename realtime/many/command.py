"""``python -m realtime videos``: the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import tyro

from realtime.many.job import Reading
from realtime.many.progress import duration
from realtime.many.run import FAILED, Report, read_videos


@dataclass(frozen=True, kw_only=True)
class VideosOptions(Reading):
    """Read many videos: a Parquet file each, in several processes.

    What is there whole already, of the same video by the same model and options, is skipped, so
    the same command again goes on where it was interrupted. Videos that cannot be read are listed
    in failed.jsonl with the reason.
    """

    sources: tyro.conf.Positional[tuple[str, ...]]
    """Videos, patterns ("clips/*.mp4") and folders with all below them."""
    neutral: Path | None = None
    """Reference of a resting face (.json): read against it is the largest face of the first frame
    of each video that shows one, until it is lost."""
    output: Path
    """Folder for the files: NAME.parquet for each video, NAME as below its source."""
    workers: int | None = None
    """How many processes read, one thread each; one a core if not given."""
    ray: str | None = None
    """Read on Ray: the address of a cluster (HOST:PORT, or auto for the one this machine is in);
    without one, Ray on this machine (needs `pip install ".[ray]"`)."""


def videos_command(arguments: list[str]) -> int:
    """Read the videos; returns the exit code: 1 where some could not be read whole."""
    options = tyro.cli(
        VideosOptions, prog="python -m realtime videos", args=with_address(arguments)
    )
    report = read_videos(
        options.sources,
        options.output,
        reading=options,
        workers=options.workers,
        ray=options.ray,
    )
    print(_told(report, options.output))
    return 1 if report.failed else 0


def with_address(arguments: list[str]) -> list[str]:
    """`--ray` alone stands for `--ray local`: what follows it is an address only if it looks like
    one."""
    given = list(arguments)
    if "--ray" in given:
        after = given.index("--ray") + 1
        if not re.fullmatch(_ADDRESS, "".join(given[after : after + 1])):
            given.insert(after, "local")
    return given


_ADDRESS = r"auto|local|ray://.+|[\w.-]+:\d+|\[[\da-fA-F:]+\]:\d+"


def _told(report: Report, output: Path) -> str:
    parts = [f"{report.videos} videos: {report.read} read"]
    if report.known:
        parts.append(f"{report.known} were there")
    lines = [", ".join(parts) + f". {output}"]
    if report.frames:
        rate = report.frames / report.seconds
        time = duration(report.seconds)
        lines.append(f"{report.frames} frames in {time}, {rate:.0f} frames/s.")
    if report.failed:
        lines.append(f"{report.failed} could not be read, or not to the end: {output / FAILED}")
    return "\n".join(lines)
