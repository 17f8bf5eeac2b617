"""The folder of one training run: its configuration, its log, its checkpoints."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from train.errors import UserError
from train.files import read_csv, read_json, save_figure, write_csv, write_json
from train.plots import plot_log


class RunFolder:
    """``config.json``, ``log.csv``, ``curves.png``, ``last.safetensors``, ``best.safetensors``;
    from recipes that synthesise faces also ``faces-<epoch>.png``."""

    def __init__(self, path: Path):
        self.path = path
        self.config_file = path / "config.json"
        self.log_file = path / "log.csv"
        self.last = path / "last.safetensors"
        self.best = path / "best.safetensors"

    def start(self, config: dict, resume: bool, write: bool = True) -> None:
        """Write the configuration, or check that the run to resume had the same one.

        Without `write` it only looks whether a new run may start here.
        """
        config = json.loads(json.dumps(config))
        if resume:
            given = _flat(config)
            # The model follows from the options, which are what the user can change.
            changed = sorted(
                key
                for key, value in _flat(self.config()).items()
                if given.get(key) != value and not key.startswith("model.")
            )
            if changed:
                raise UserError(
                    f"{self.path} was started with another {', '.join(changed)}: "
                    "give the same options to resume it, or another --run."
                )
            return
        if self.last.exists():
            raise UserError(
                f"{self.path} already holds a run: add --resume, or give another --run."
            )
        if write:
            write_json(self.config_file, config)

    def config(self) -> dict:
        """The configuration the run was started with; asking it for an entry that it lacks is a
        UserError."""
        if not self.config_file.is_file():
            raise UserError(f"{self.path} is not a run: it has no config.json.")
        config = read_json(self.config_file, "train the run again, in another folder")
        kinds = {"recipe": str, "classes": list, "fit": dict, "options": dict, "model": dict}
        for key, kind in kinds.items():
            if key in config and not isinstance(config[key], kind):
                raise UserError(f"{self.config_file} is broken: {key} is {config[key]!r}.")
        return config

    def log(self) -> list[dict[str, float | None]]:
        """The numbers of log.csv, one dict an epoch."""
        if not self.log_file.is_file():
            raise UserError(f"{self.log_file} does not exist; has the run finished an epoch?")
        rows = read_csv(self.log_file, ("epoch",), "--resume writes it anew after an epoch")
        try:
            return [
                {key: float(value) if value else None for key, value in row.items()} for row in rows
            ]
        except ValueError as error:
            raise UserError(f"{self.log_file} is broken: {error}.") from None

    def write_log(self, rows: list[dict]) -> None:
        """Rewrite log.csv and curves.png from one dict an epoch, and add the last epoch to the
        TensorBoard log."""
        # Here, since loading it takes a second that not every command has to wait for.
        from torch.utils.tensorboard import SummaryWriter

        write_csv(self.log_file, rows)
        save_figure(plot_log(rows), self.path / "curves.png")
        # A writer for each epoch: what it has written is whole even if the run is killed.
        with SummaryWriter(self.path / "tensorboard") as scalars:
            for key, value in rows[-1].items():
                if key != "epoch" and value is not None:
                    scalars.add_scalar(_scalar_name(key), value, rows[-1]["epoch"])


def _scalar_name(key: str) -> str:
    """TensorBoard groups scalars by what stands before the slash."""
    if key.startswith("loss_"):
        return f"loss/{key.removeprefix('loss_')}"
    return f"time/{key}" if key == "seconds" else f"validation/{key}"


def plain(options) -> dict:
    """A dataclass, with dataclasses and paths in it, as a dict that JSON can hold."""
    return json.loads(json.dumps(dataclasses.asdict(options), default=str))


def _flat(config: dict, prefix: str = "") -> dict:
    flat: dict = {}
    for key, value in config.items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat
