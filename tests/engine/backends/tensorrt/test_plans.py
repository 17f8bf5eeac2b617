import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from engine.backends.tensorrt import plans
from engine.backends.tensorrt.plan_layers import LayerCount
from engine.backends.tensorrt.plans import Plan, PlanKey
from engine.contract import EngineError

ROOT = Path(__file__).resolve().parents[4]
KEY = PlanKey("ab12", "TensorRT", "10.13.2", "NVIDIA RTX 4090", "8.9", "fp16", "faces 1 to 32", 1)
LAYERS = (LayerCount("correlation", "fp16", 32), LayerCount("kgen", "fp32", 2))

BUILD_ONCE = """
import sys, time
from pathlib import Path
from engine.backends.tensorrt import plans
from engine.backends.tensorrt.plans import Plan, PlanKey

def build():
    with open(sys.argv[1], "a") as builds:
        builds.write("built\\n")
    time.sleep(float(sys.argv[2]))
    return Plan(b"the plan", (), 0.5)

key = PlanKey("ab12", "TensorRT", "10", "GPU", "8.9", "fp16", "faces", 1)
print("ready", flush=True)
sys.stdin.readline()
print(plans.find_or_build(key, build).content.decode())
"""


@pytest.fixture
def told():
    return []


class Builder:
    """Makes another plan on every call and counts them."""

    def __init__(self):
        self.builds = 0

    def __call__(self) -> Plan:
        self.builds += 1
        return Plan(b"plan %d " % self.builds * 1000, LAYERS, 1.25)


def obtained(build, told, key=KEY, **options):
    return plans.find_or_build(key, build, tell=told.append, **options)


def test_builds_once_and_keeps_all_that_is_known(cache, told):
    build = Builder()
    built = obtained(build, told)
    found = obtained(build, told)
    assert build.builds == 1 and told == []
    assert (built.cached, found.cached) == (False, True)
    assert found.content == built.content
    assert (found.layers, found.seconds) == (LAYERS, 1.25)
    assert found.path == built.path == cache / KEY.file_name
    sidecar = json.loads((cache / f"{KEY.file_name}.json").read_text())
    assert sidecar["key"]["gpu"] == "NVIDIA RTX 4090" and sidecar["sha256"] == found.sha256
    assert [path.suffix for path in cache.iterdir() if path.suffix == ".tmp"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"model_sha256": "cd34"},
        {"distribution": "TensorRT-RTX"},
        {"version": "11.0.0"},
        {"gpu": "NVIDIA RTX 3060"},
        {"compute_capability": "8.6"},
        {"precision": "int8"},
        {"profile": "faces 1 to 8"},
        {"recipe": 2},
    ],
)
def test_every_part_of_the_key_makes_another_plan(cache, told, change):
    build = Builder()
    obtained(build, told)
    obtained(build, told, replace(KEY, **change))
    assert obtained(build, told).cached
    assert build.builds == 2 and told == []


@pytest.mark.parametrize(
    ("field", "value"), [("gpu", "NVIDIA RTX 3060"), ("version", "9.0"), ("model_sha256", "00")]
)
def test_a_plan_made_for_something_else_is_built_again(cache, told, field, value):
    build = Builder()
    sidecar = obtained(build, told).path.with_suffix(".plan.json")
    known = json.loads(sidecar.read_text())
    known["key"][field] = value
    sidecar.write_text(json.dumps(known))
    assert not obtained(build, told).cached
    (text,) = told
    assert text == (
        f"The cached plan {cache / KEY.file_name} is not used, its {field} is {value} and not "
        f"{getattr(KEY, field)}: it is built again."
    )
    assert obtained(build, told).cached and build.builds == 2


@pytest.mark.parametrize("damage", [b"", b"plan 1 ", b"other bytes of any length"])
def test_a_corrupt_plan_is_replaced(cache, told, damage):
    build = Builder()
    path = obtained(build, told).path
    path.write_bytes(damage)
    assert obtained(build, told).content.startswith(b"plan 2")
    assert len(told) == 1 and "the file is damaged" in told[0]
    assert obtained(build, told).cached


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"key": 7, "layers": []}', '"x"'])
def test_a_corrupt_sidecar_is_replaced(cache, told, damage):
    build = Builder()
    path = obtained(build, told).path
    path.with_suffix(".plan.json").write_text(damage)
    assert obtained(build, told).content.startswith(b"plan 2")
    assert len(told) == 1 and "sidecar is damaged" in told[0]
    assert obtained(build, told).cached


@pytest.mark.parametrize("suffix", [".plan", ".plan.json"])
def test_half_of_a_plan_counts_as_missing(cache, told, suffix):
    build = Builder()
    obtained(build, told).path.with_suffix(suffix).unlink()
    assert obtained(build, told).content.startswith(b"plan 2")
    assert told == []


def test_a_plan_that_cannot_be_used_is_replaced(cache, told):
    build = Builder()
    unusable = obtained(build, told).sha256
    better = obtained(build, told, unusable=unusable)
    assert better.content.startswith(b"plan 2")
    # What another process has built meanwhile is taken.
    assert obtained(build, told, unusable=unusable).cached and build.builds == 2


def test_a_cache_that_cannot_be_written_is_said_and_done_without(tmp_path, monkeypatch, told):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(plans.FOLDER_VARIABLE, str(tmp_path / "file" / "cache"))
    build = Builder()
    for number in (1, 2):
        plan = obtained(build, told)
        assert plan.path is None and not plan.cached and build.builds == number
        assert len(told) == number
    assert "cache cannot be written: Not a directory. The plan is not kept" in told[0]
    assert "set IPD_FER_CACHE to a folder that can be written" in told[0]


def test_a_full_disk_is_said_and_done_without(cache, told, monkeypatch):
    def fail(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    plan = obtained(Builder(), told)
    assert plan.path is None and plan.content.startswith(b"plan 1")
    assert len(told) == 1 and "No space left on device. The plan is not kept" in told[0]
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_a_failing_build_passes_and_frees_the_lock(cache, told):
    def fail():
        raise EngineError("cannot be built")

    with pytest.raises(EngineError, match="cannot be built"):
        obtained(fail, told)
    assert obtained(Builder(), told).content.startswith(b"plan 1")
    assert told == []


def start(log: Path, seconds: float) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD_ONCE, str(log), str(seconds)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def test_of_two_processes_one_builds_and_the_other_waits(cache, tmp_path):
    log = tmp_path / "builds"
    processes = [start(log, 1) for _ in range(2)]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=30) for process in processes]
    assert [out for out, _ in ended] == ["the plan\n"] * 2
    assert log.read_text() == "built\n"
    messages = sorted(err for _, err in ended)
    assert messages == ["", "Waiting for another process that builds the same plan.\n"]


def test_a_process_that_dies_while_it_builds_holds_nobody_up(cache, tmp_path):
    log = tmp_path / "builds"
    first, second = start(log, 60), start(log, 0)
    first.stdin.write("\n")
    first.stdin.flush()
    while not (log.exists() and log.read_text()) and first.poll() is None:
        time.sleep(0.01)
    second.stdin.write("\n")
    second.stdin.flush()
    first.kill()
    first.wait(30)
    out, _ = second.communicate(timeout=30)
    assert out == "the plan\n" and log.read_text() == "built\nbuilt\n"
    for stream in (first.stdin, first.stdout, first.stderr):
        stream.close()


def test_the_folder_follows_the_platform(monkeypatch):
    monkeypatch.delenv(plans.FOLDER_VARIABLE, raising=False)
    assert plans.folder().parts[-2:] == ("ipd-fer", "plans")
