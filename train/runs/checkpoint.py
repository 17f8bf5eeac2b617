"""Training state on disk as safetensors: tensors as they are, all else as JSON beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from train.errors import UserError
from train.files import whole


def save_state(path: Path, state: dict) -> None:
    """Write nested dicts and lists of tensors, numbers, strings and None; atomic."""
    tensors: dict[str, torch.Tensor] = {}
    skeleton = _take_tensors(state, "", tensors)
    with whole(path) as part:
        save_file(tensors, part, metadata={"state": json.dumps(skeleton)})


def load_state(path: Path) -> dict:
    """What :func:`save_state` wrote, on the CPU; UserError where the file is missing or broken."""
    try:
        with safe_open(path, framework="pt") as file:
            skeleton = json.loads(file.metadata()["state"])
            return _put_tensors(skeleton, file)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; has the run finished an epoch?") from None
    except OSError as error:  # of safetensors, which does not say which file it was
        raise UserError(f"{path} cannot be read: {error}") from None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a checkpoint of this program: {error}") from None


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """UserError where what was read of `path` does not fit the networks it is loaded into."""
    try:
        yield
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise UserError(
            f"{path} does not fit the networks that config.json beside it names: {reason}"
        ) from None


def _take_tensors(value, name: str, tensors: dict):
    if isinstance(value, torch.Tensor):
        # A copy: safetensors refuses tensors that share memory, as an optimizer's may.
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        # Keys of an optimizer's state are integers, which JSON would turn into strings.
        items = [
            [key, _take_tensors(item, f"{name}/{key}", tensors)] for key, item in value.items()
        ]
        return {"dict": items}
    if isinstance(value, (list, tuple)):
        return {
            "list": [_take_tensors(item, f"{name}/{i}", tensors) for i, item in enumerate(value)]
        }
    return {"value": value}


def _put_tensors(skeleton: dict, file):
    ((kind, content),) = skeleton.items()
    if kind == "tensor":
        return file.get_tensor(content)
    if kind == "dict":
        return {key: _put_tensors(item, file) for key, item in content}
    if kind == "list":
        return [_put_tensors(item, file) for item in content]
    return content
