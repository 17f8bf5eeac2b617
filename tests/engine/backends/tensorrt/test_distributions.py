import subprocess
import sys
from types import ModuleType

import pytest

from engine.backends.tensorrt import distributions
from engine.contract import EngineError, NotInstalled


@pytest.fixture
def install(monkeypatch):
    """Makes a module importable with a version, or not at all (None)."""

    def put(name, version):
        module = None
        if version is not None:
            module = ModuleType(name)
            module.__version__ = version
        monkeypatch.setitem(sys.modules, name, module)

    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    return put


def test_tensorrt_comes_before_tensorrt_rtx(install):
    install("tensorrt_rtx", "1.7.1.116")
    found = distributions.find()
    assert (str(found), found.portable) == ("TensorRT-RTX 1.7.1.116", True)
    install("tensorrt", "11.4.0.106")
    found = distributions.find()
    assert (str(found), found.portable) == ("TensorRT 11.4.0.106", False)
    assert distributions.find(portable_only=True).name == "TensorRT-RTX"


def test_nothing_is_installed(install):
    with pytest.raises(NotInstalled, match="TensorRT is not installed: `pip install"):
        distributions.find()
    install("tensorrt", "11.4.0.106")
    with pytest.raises(NotInstalled, match="without an NVIDIA driver needs .* tensorrt-rtx"):
        distributions.find(portable_only=True)


@pytest.mark.parametrize(("version", "good"), [("10.11.0.33", False), ("10.12.0.36", True)])
def test_old_versions_are_refused(install, version, good):
    install("tensorrt", version)
    if good:
        assert distributions.find().version == version
    else:
        with pytest.raises(EngineError, match="10.11.0.33 is too old, 10.12 or newer is needed"):
            distributions.find()


@pytest.mark.parametrize(
    "error", [OSError("libnvinfer.so.10: cannot open"), ModuleNotFoundError("x", name="other")]
)
def test_an_installation_that_does_not_load(install, monkeypatch, error):
    def fail(name):
        raise error

    monkeypatch.setattr(distributions.importlib, "import_module", fail)
    with pytest.raises(EngineError, match="installed but does not load .*--force-reinstall"):
        distributions.find()


def test_the_reason_among_many_messages():
    messages = [
        "[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (cudaError 35)",
        "\nBuilder failed: no such thing.\nmore",
    ]
    assert distributions.reason(messages) == "Builder failed: no such thing"
    assert distributions.reason([]) == "TensorRT gives no reason"


def test_nothing_of_tensorrt_is_imported_before_it_is_used():
    program = (
        "import sys, engine.session, engine.__main__\n"
        "wanted = {'tensorrt', 'tensorrt_rtx', 'cuda', 'pycuda', 'filelock', 'torch'}\n"
        "print(sorted(wanted & set(sys.modules)))\n"
        "sys.modules['filelock'] = None\n"
        "import engine.backends.tensorrt.plans\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout == "[]\n"
    assert "NotInstalled: The cache of TensorRT plans needs the package filelock" in ended.stderr
