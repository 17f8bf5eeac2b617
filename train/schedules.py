"""Learning rates over a training, by name."""

from __future__ import annotations

from typing import Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR, OneCycleLR


ScheduleName = Literal["paper", "one-cycle"]


def make_schedule(name: ScheduleName, optimizer: Optimizer, steps: int) -> LRScheduler:
    """Stepped once a training step, from the rate the optimizer was made with.

    paper: a tenth after each third of the `steps`, which is every 10 of the paper's 30 epochs
    (IPD-FER, section 4.2). one-cycle: up to that rate over a fifth of them, then down to 0.
    """
    if name == "paper":
        return MultiStepLR(optimizer, [round(steps / 3), round(2 * steps / 3)], gamma=0.1)
    if name == "one-cycle":
        peak = optimizer.param_groups[0]["lr"]
        return OneCycleLR(optimizer, peak, total_steps=steps, pct_start=0.2)
    raise ValueError(f"There is no schedule {name!r}; choose paper or one-cycle.")
